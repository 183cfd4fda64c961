/** Clean stops of the Primary, and the loss of nodes that are not Primary: what clients of the others notice. */
import { setTimeout as sleep } from "node:timers/promises"
import { assert, describe, it } from "@effect/vitest"
import { brief, quantile } from "./support/load.ts"
import type { ClusterNode } from "./support/node.ts"
import { repeatOf, type Run, scenario } from "./support/scenario.ts"

const file = "Stop.cluster.ts"
const timeout = 600_000
const stops = Number(process.env["NETSY_CLUSTER_STOPS"] ?? "6")

/** Stops the Primary again and again; in every second round it is the Elector too. */
const stopping = async ({ cluster, figures, load, random, say }: Run): Promise<ReadonlyArray<string>> => {
  const found: Array<string> = []
  const all: Array<object> = []
  for (let round = 1; round <= stops; round++) {
    const elector = await cluster.findElector()
    const together = round % 2 === 0
    let primary = await cluster.primary()
    if (elector !== undefined && (primary === elector) !== together) {
      primary = together ? elector : cluster.nodes.find((node) => node !== elector)!
      await cluster.moveLeader(primary)
    }
    await sleep(1_000 + random() * 500)
    const moment = performance.now()
    const code = await primary.stop()
    const took = performance.now() - moment
    await load.untilFlowing(performance.now())
    await sleep(2_000)
    const stalls = load.stalls(moment, performance.now())
    all.push({ ...brief(stalls), together })
    say(`${primary.id} stopped in ${Math.round(took)} ms, clients waited ${stalls.median} ms, at most ${stalls.max}`)
    if (cluster.program === "netsy" && code !== 0) found.push(`${primary.id} ended with ${code}`)
    if (stalls.median > 1_000) found.push(`stop ${round}: half of the clients waited for ${stalls.median} ms`)
    primary.start()
    await cluster.untilHealthy()
  }
  figures["stalls"] = all
  return found
}

/** Kills a node that clients have just left; no write of theirs may fail, then or after its return. */
const losing = async (
  { cluster, figures, load, say }: Run,
  except: Except,
  victim: ClusterNode
): Promise<Array<string>> => {
  except.node = victim
  // What was under way there comes to its end.
  await sleep(2_000)
  const moment = performance.now()
  await victim.kill9()
  await sleep(15_000)
  victim.start()
  await cluster.untilHealthy()
  await sleep(2_000)
  const writes = load.writes(moment, performance.now() - 1_000)
  const failed = writes.filter(({ outcome }) => outcome !== "ok")
  const times = writes.map(({ began, ended }) => ended - began)
  const longest = Math.round(Math.max(...times))
  const p99 = Math.round(quantile(times, 0.99))
  figures[victim.id] = { writes: writes.length, longest, p99 }
  say(`without ${victim.id}: ${writes.length} writes, p99 ${p99} ms, longest ${longest} ms`)
  return failed.slice(0, 3).map(({ outcome, reason }) => `${outcome} without ${victim.id}: ${reason}`)
}

interface Except {
  node: ClusterNode | undefined
}

describe("a clean stop of the Primary", () => {
  const quorum = "stops writes for less than a second in quorum mode"
  it(quorum, { timeout }, async () => {
    await scenario({ repeat: repeatOf(file, quorum) }, async (run) => {
      await run.cluster.untilVoters(3)
      return stopping(run)
    })
  })

  const store = "stops writes for less than a second in store mode"
  it(store, { timeout }, async () => {
    const settings = { replication: { quorum: 0 } }
    await scenario({ settings, repeat: repeatOf(file, store) }, stopping)
  })
})

describe("the loss of a node that is not Primary", () => {
  const name = "fails no write, be it the Elector or a replica"
  it(name, { timeout }, async () => {
    const except: Except = { node: undefined }
    await scenario({ repeat: repeatOf(file, name) }, async (run) => {
      const { cluster, load } = run
      load.endpoints = () => cluster.nodes.filter((node) => node !== except.node).map((node) => node.endpoint)
      await cluster.untilVoters(3)
      const found: Array<string> = []
      const elector = await cluster.findElector()
      if (elector !== undefined) {
        if ((await cluster.primary()) === elector) await cluster.moveLeader(cluster.nodes.find((n) => n !== elector)!)
        found.push(...(await losing(run, except, elector)))
      }
      const primary = await cluster.primary()
      const now = await cluster.findElector()
      const replica = cluster.nodes.find((node) => node !== primary && node !== now)!
      found.push(...(await losing(run, except, replica)))
      assert.isAbove(load.acknowledged, 0)
      return found
    })
  })
})
