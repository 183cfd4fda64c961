/** Nodes that join, leave, die for good; three become one and three again, all under load. */
import { setTimeout as sleep } from "node:timers/promises"
import { describe, it } from "@effect/vitest"
import { repeatOf, type Run, scenario } from "./support/scenario.ts"

const file = "Members.cluster.ts"
const timeout = 900_000
const settings = { elector: { deregistration_timeout: "15s" } }
/** To be caught up for 10 s, to be missed for 15 s, and the elections between. */
const changeLimitMillis = 90_000

const failures = ({ load }: Run, from: number, what: string): Array<string> => {
  const failed = load.writes(from, performance.now() - 1_000).filter(({ outcome }) => outcome !== "ok")
  return failed.slice(0, 3).map(({ outcome, reason }) => `a write while ${what}: ${outcome}: ${reason}`)
}

describe("the members of a cluster under load", () => {
  const fourth = "a fourth joins and votes, stops and is removed, joins again and dies, and is removed"
  it(fourth, { timeout }, async () => {
    // Clients stay with the first three: what is asked is that they notice nothing.
    await scenario({ settings, repeat: repeatOf(file, fourth) }, async (run) => {
      const { cluster, load, say } = run
      const firstThree = [...cluster.nodes]
      load.endpoints = () => firstThree.map((node) => node.endpoint)
      await cluster.untilVoters(3)
      const found: Array<string> = []
      const begin = performance.now()
      const node = await cluster.add()
      await cluster.untilHealthy()
      load.watch(node)
      await cluster.untilVoters(4, changeLimitMillis)
      say(`${node.id} votes`)
      found.push(...failures(run, begin, "a node joined"))

      const leaving = performance.now()
      await load.unwatch(node)
      await node.stop()
      await cluster.untilVoters(3, changeLimitMillis)
      say(`${node.id} left`)
      found.push(...failures(run, leaving, "a node left"))

      node.wipe()
      node.start()
      await cluster.untilHealthy()
      await cluster.untilVoters(4, changeLimitMillis)
      const dying = performance.now()
      await node.kill9()
      await cluster.untilVoters(3, changeLimitMillis)
      say(`${node.id} died and was removed`)
      found.push(...failures(run, dying, "a node died"))
      cluster.forget(node)
      await sleep(2_000)
      return found
    })
  })

  const three = "three become one and three again without a loss"
  it(three, { timeout }, async () => {
    await scenario({ settings, repeat: repeatOf(file, three) }, async ({ cluster, load, say }) => {
      await cluster.untilVoters(3)
      const primary = await cluster.primary()
      const gone = [primary, cluster.nodes.find((node) => node !== primary)!]
      await gone[0]!.kill9()
      await cluster.untilVoters(2, changeLimitMillis)
      say(`two are left without ${gone[0]!.id}`)
      await load.untilFlowing(performance.now())
      await gone[1]!.stop()
      await cluster.untilVoters(0, changeLimitMillis)
      await load.untilFlowing(performance.now())
      say(`one is left without ${gone[1]!.id}, and writes to the bucket`)
      for (const node of gone) node.start()
      await cluster.untilHealthy()
      await cluster.untilVoters(3, changeLimitMillis)
      await load.untilFlowing(performance.now())
      say("three again")
    })
  })
})
