/** All nodes killed at once, with and without their disks; the bucket stays. */
import { setTimeout as sleep } from "node:timers/promises"
import { describe, it } from "@effect/vitest"
import { repeatOf, type Run, scenario } from "./support/scenario.ts"

const file = "Wipe.cluster.ts"
const timeout = 900_000
/** Age at which the buffer goes to the bucket (its setting has no smaller unit), and a margin. */
const bufferMillis = 60_000 + 15_000
const returnLimitMillis = 200_000
const elector = { deregistration_timeout: "10s" }

const recovered = ({ cluster }: Run): boolean =>
  cluster.bucket.arbiter()?.recovered !== undefined ||
  cluster.nodes.some((node) => node.process.log().includes("recovered_with_possible_loss"))

/** Kills everybody at once and brings everybody back; how long it took until all were healthy again. */
const everybody = async (run: Run, wipe: boolean): Promise<void> => {
  const { cluster, figures, load, say } = run
  const moment = performance.now()
  await Promise.all(cluster.nodes.map((node) => node.kill9()))
  if (wipe) for (const node of cluster.nodes) node.wipe()
  for (const node of cluster.nodes) node.start()
  await cluster.untilHealthy(returnLimitMillis)
  await load.untilFlowing(moment)
  figures["backAfterMillis"] = Math.round(performance.now() - moment)
  say(`back after ${figures["backAfterMillis"]} ms`)
}

describe("all three nodes killed", () => {
  const kept = "come back with everything while they have their disks, and nothing is called lost"
  it(kept, { timeout }, async () => {
    await scenario({ settings: { elector }, repeat: repeatOf(file, kept) }, async (run) => {
      await run.cluster.untilVoters(3)
      await sleep(5_000)
      await everybody(run, false)
      return recovered(run) ? ["recovered_with_possible_loss although no disk was lost"] : []
    })
  })

  const store = "without their disks in store mode: everything acknowledged is there, and nothing is called lost"
  it(store, { timeout }, async () => {
    const settings = { elector, replication: { quorum: 0 } }
    await scenario({ settings, repeat: repeatOf(file, store) }, async (run) => {
      await sleep(10_000)
      await everybody(run, true)
      return recovered(run) ? ["recovered_with_possible_loss in store mode"] : []
    })
  })

  const quorum = "without their disks in quorum mode: what is older than the buffer is there, and the loss is said"
  it(quorum, { timeout }, async () => {
    const options = { settings: { elector }, check: false, load: { pauseMillis: 100 }, repeat: repeatOf(file, quorum) }
    await scenario(options, async (run) => {
      const { cluster, figures, load, say } = run
      await cluster.untilVoters(3)
      await sleep(bufferMillis + 15_000)
      const moment = performance.now()
      // After the wipe revisions are given again: the clients of before are done.
      await load.stop()
      await Promise.all(cluster.nodes.map((node) => node.kill9()))
      for (const node of cluster.nodes) node.wipe()
      for (const node of cluster.nodes) node.start()
      await cluster.untilHealthy(returnLimitMillis)
      figures["backAfterMillis"] = Math.round(performance.now() - moment)
      say(`back after ${figures["backAfterMillis"]} ms`)
      const history = await load.historyOf(await cluster.primary())
      const lost = load.lostBefore(moment - bufferMillis, history)
      figures["lostOfTheLastMinute"] = load.lostBefore(moment, history).length
      figures["acknowledged"] = load.acknowledged
      return [
        ...lost.slice(0, 5).map((value) => `${value} is lost, it was acknowledged ${bufferMillis} ms before`),
        ...(recovered(run) ? [] : ["nothing said recovered_with_possible_loss"])
      ]
    })
  })
})
