/**
 * Everything at once for as long as asked: random kills, stops, sleeps, lost disks, moves, joins and a faulty bucket, with
 * leases, compaction and snapshots, one disturbance after another so that a majority is always there. At the end the
 * clients' history is checked, and `netsy verify` looks at the bucket and every node.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { describe, it } from "@effect/vitest"
import { encodeCompactionRequest } from "../../src/core/wire/codec/kv.ts"
import { seededRandom } from "../../src/programs/dev-s3/faults.ts"
import type { Cluster } from "./support/cluster.ts"
import { Connection } from "./support/connection.ts"
import { Leases } from "./support/leases.ts"
import { type Run, scenario, seed } from "./support/scenario.ts"
import { verify } from "./support/verify.ts"

const seconds = Number(process.env["NETSY_SOAK_SECONDS"] ?? "1800")
const timeout = (seconds + 900) * 1_000
const repeat = `make soak SECONDS=${seconds} NETSY_SEED=${seed}`
const changeLimitMillis = 120_000
const settings = {
  elector: { deregistration_timeout: "20s" },
  snapshot: { threshold_records: 2_000, keep: 2, history: "1m" },
  compaction_interval: "10s"
}

/** Drops what is older than a few hundred revisions, every now and then. */
const compacting = async (cluster: Cluster, random: () => number, running: () => boolean): Promise<number> => {
  let done = 0
  while (running()) {
    await sleep(5_000 + random() * 20_000)
    const node = cluster.running[Math.floor(random() * cluster.running.length)]
    const facts = await node?.facts()
    if (node === undefined || facts === undefined || facts.revision < 600) continue
    const connection = new Connection(node.endpoint, cluster.certificates)
    const body = encodeCompactionRequest({ revision: facts.revision - 500, physical: false })
    await connection.unary("/etcdserverpb.KV/Compact", body, 10_000).then(
      () => done++,
      () => undefined
    )
    connection.close()
  }
  return done
}

type Kind = "kill" | "stop" | "sleep" | "move" | "renew" | "wipe" | "bucket" | "slow" | "join"
/** What three real etcds can be put through as well. */
const plain: ReadonlyArray<Kind> = ["kill", "stop", "sleep", "move", "renew"]

const disturb = async ({ cluster, load, random, say }: Run): Promise<Kind> => {
  const pick = <A>(of: ReadonlyArray<A>): A => of[Math.floor(random() * of.length)]!
  const node = random() < 0.5 ? await cluster.primary() : pick(cluster.nodes)
  const kind = pick<Kind>(cluster.program === "etcd" ? plain : [...plain, ...plain, "wipe", "bucket", "slow", "join"])
  say(`${kind} ${node.id}`)
  switch (kind) {
    case "kill":
      await node.kill9()
      await sleep(random() * 8_000)
      node.start()
      break
    case "stop":
      await node.stop()
      await sleep(random() * 8_000)
      node.start()
      break
    case "sleep":
      node.process.pause()
      await sleep(1_000 + random() * 14_000)
      node.process.resume()
      break
    case "wipe":
      await node.kill9()
      node.wipe()
      node.start()
      await cluster.untilHealthy(changeLimitMillis)
      await cluster.untilVoters(3, changeLimitMillis)
      break
    case "move":
      await cluster.moveLeader(pick(cluster.nodes))
      break
    case "bucket":
      cluster.bucket.pause()
      await sleep(random() * 15_000)
      cluster.bucket.resume()
      break
    case "slow":
      cluster.bucket.faults({
        latency: { medianMillis: 30, p99Millis: 200 },
        fail: { put: 0.05, get: 0.05, list: 0.05 },
        loseAnswer: { put: 0.05, delete: 0.05 }
      })
      await sleep(5_000 + random() * 10_000)
      cluster.bucket.faults({ latency: undefined, fail: {}, loseAnswer: {} })
      break
    case "join": {
      const guest = await cluster.add()
      await cluster.untilHealthy(changeLimitMillis)
      load.watch(guest)
      await cluster.untilVoters(4, changeLimitMillis)
      await load.unwatch(guest)
      await guest.stop()
      cluster.forget(guest)
      await cluster.untilVoters(3, changeLimitMillis)
      break
    }
    case "renew":
      await cluster.certificates.renew()
      break
  }
  await cluster.untilHealthy(changeLimitMillis)
  return kind
}

describe("a cluster that is disturbed for a long time", () => {
  it(`loses nothing in ${seconds} s`, { timeout }, async () => {
    await scenario({ settings, repeat, load: { pauseMillis: 150 } }, async (run) => {
      const { cluster, figures, load, random, say } = run
      await cluster.untilVoters(3)
      let running = true
      const leases = new Leases(cluster, load.recorder, seededRandom(seed + 1))
      const leasing = [leases.run(), leases.run()]
      const compactions = compacting(cluster, seededRandom(seed + 2), () => running)
      const done: Record<string, number> = {}
      const end = performance.now() + seconds * 1_000
      try {
        while (performance.now() < end) {
          const kind = await disturb(run)
          done[kind] = (done[kind] ?? 0) + 1
          await load.untilFlowing(performance.now())
          await sleep(1_000 + random() * 4_000)
        }
      } finally {
        running = false
        leases.stop()
        figures["compactions"] = await compactions
        await Promise.all(leasing)
      }
      Object.assign(figures, { done, granted: leases.granted, kept: leases.kept })
      await load.stop()
      await cluster.untilHealthy()
      if (cluster.program === "etcd") return leases.problems
      // A new Primary uploads its whole log: else the nodes have compacted what the bucket's last revision is compared at.
      const primary = await cluster.primary()
      await cluster.moveLeader(cluster.running.find((node) => node !== primary)!)
      const { code, table } = await verify(cluster)
      say(`netsy verify:\n${table}`)
      return [...leases.problems.slice(0, 5), ...(code === 0 ? [] : [`netsy verify ended with ${code}`])]
    })
  })
})
