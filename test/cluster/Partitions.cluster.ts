/**
 * Random cuts between nodes and to the bucket, one-way and two-way, with latency and loss between nodes, by seed: whatever
 * the clients of all nodes saw must be one linearizable history.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { describe, it } from "@effect/vitest"
import { brief } from "./support/load.ts"
import { type End, Network } from "./support/network.ts"
import { repeatOf, type Run, scenario, seed } from "./support/scenario.ts"

const file = "Partitions.cluster.ts"
const schedules = Number(process.env["NETSY_CLUSTER_SCHEDULES"] ?? "30")
const scheduleMillis = Number(process.env["NETSY_CLUSTER_SCHEDULE_SECONDS"] ?? "30") * 1_000
const timeout = 300_000
const ends: ReadonlyArray<End> = [1, 2, 3, "bucket"]

const fair = { delayMillis: 0, jitterMillis: 0, loss: 0, reset: 0, garble: 0, seed: 1 }

/** One random change of the network. */
const change = async ({ random, say }: Run, network: Network): Promise<void> => {
  const pick = <A>(of: ReadonlyArray<A>): A => of[Math.floor(random() * of.length)]!
  const a = pick(ends)
  const b = pick(ends.filter((end) => end !== a))
  const kind = random()
  if (kind < 0.25) {
    say("all can reach each other")
    await network.heal()
  } else if (kind < 0.45) {
    say(`${a} no longer reaches ${b}`)
    await network.cut(a, b)
  } else if (kind < 0.65) {
    say(`${a} and ${b} are cut off from each other`)
    await network.cut(a, b)
    await network.cut(b, a)
  } else if (kind < 0.8) {
    say(`${a} is alone`)
    for (const end of ends.filter((one) => one !== a)) {
      await network.cut(a, end)
      await network.cut(end, a)
    }
  } else {
    const k = pick([1, 2, 3])
    const weather = {
      delayMillis: Math.round(random() * 150),
      jitterMillis: Math.round(random() * 100),
      loss: random() * 0.1,
      reset: random() < 0.3 ? 0.005 : 0,
      garble: random() < 0.3 ? 0.005 : 0,
      seed: Math.floor(random() * 1e9)
    }
    say(`before ${k}: ${JSON.stringify(weather)}`)
    network.weather(k, weather)
  }
}

describe("random partitions", () => {
  for (let i = 0; i < schedules; i++) {
    const own = seed + i
    const name = `schedule ${own} leaves a linearizable history`
    const repeat = `NETSY_CLUSTER_SCHEDULES=1 ${repeatOf(file, name, own)}`
    it(name, { timeout }, async () => {
      const folder = mkdtempSync(join(tmpdir(), "netsy-network-"))
      const network = await Network.open(folder)
      try {
        // Every third schedule runs in store mode.
        const settings = own % 3 === 0 ? { replication: { quorum: 0 } } : {}
        await scenario(
          { network, settings, seed: own, repeat, load: { clients: 12, pauseMillis: 60 } },
          async (run) => {
            const { cluster, figures, load, random, say } = run
            if (own % 3 !== 0) await cluster.untilVoters(3)
            const end = performance.now() + scheduleMillis
            while (performance.now() < end) {
              await change(run, network)
              await sleep(500 + random() * 4_000)
            }
            await network.heal()
            for (const k of [1, 2, 3]) network.weather(k, fair)
            const healed = performance.now()
            await cluster.untilHealthy(120_000)
            await load.untilFlowing(performance.now())
            figures["healthyAfterMillis"] = Math.round(performance.now() - healed)
            figures["gaps"] = brief(load.gapsAfter(healed))
            say(`healthy ${Math.round(performance.now() - healed)} ms after the last cut`)
          }
        )
      } finally {
        await network.close()
        rmSync(folder, { recursive: true, force: true })
      }
    })
  }
})
