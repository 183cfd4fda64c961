/** SIGSTOP of the Primary for longer than anybody waits for it, then SIGCONT: it must not act on what it believed before. */
import { setTimeout as sleep } from "node:timers/promises"
import { describe, it } from "@effect/vitest"
import { brief } from "./support/load.ts"
import { repeatOf, type Run, scenario } from "./support/scenario.ts"

const file = "Pause.cluster.ts"
const timeout = 600_000
const pauses = 3
const pauseMillis = 15_000

/**
 * Pauses the Primary again and again. In every second round it is the Elector too: its port goes on taking connections, so
 * that the lock's 15 s pass before anybody acts, and after them it may be awake and go on.
 */
const pausing = async ({ cluster, figures, load, random, say }: Run): Promise<ReadonlyArray<string>> => {
  const found: Array<string> = []
  const all: Array<object> = []
  for (let round = 1; round <= pauses; round++) {
    const together = round % 2 === 0
    let paused = await cluster.primary()
    const elector = await cluster.findElector()
    if (elector !== undefined && (paused === elector) !== together) {
      paused = together ? elector : cluster.nodes.find((node) => node !== elector)!
      await cluster.moveLeader(paused)
    }
    await sleep(random() * 1_000)
    const moment = performance.now()
    paused.process.pause()
    await sleep(pauseMillis)
    const successor = await cluster.findPrimary()
    if (successor === undefined && !together)
      found.push(`nobody took over from ${paused.id} within ${pauseMillis / 1000} s`)
    paused.process.resume()
    await load.untilFlowing(performance.now())
    const gaps = load.gapsAfter(moment)
    all.push({ ...brief(gaps), together })
    say(
      `${paused.id} slept, ${successor?.id ?? "nobody"} took over; writes again after ${gaps.first} ms, median ${gaps.median}`
    )
    await cluster.untilHealthy()
    await sleep(5_000)
  }
  figures["gaps"] = all
  return found
}

describe("a Primary that sleeps for 15 s", () => {
  const quorum = "is replaced and acknowledges nothing afterwards, in quorum mode"
  it(quorum, { timeout }, async () => {
    await scenario({ repeat: repeatOf(file, quorum) }, async (run) => {
      await run.cluster.untilVoters(3)
      return pausing(run)
    })
  })

  const store = "is replaced and acknowledges nothing afterwards, in store mode"
  it(store, { timeout }, async () => {
    const settings = { replication: { quorum: 0 } }
    await scenario({ settings, repeat: repeatOf(file, store) }, pausing)
  })
})
