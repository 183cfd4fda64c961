/** A fourth node joins a cluster with 1 GB of data: what writers notice, and that none of their writes fails. */
import { setTimeout as sleep } from "node:timers/promises"
import { assert, describe, it } from "@effect/vitest"
import { encodePutRequest } from "../../src/core/wire/codec/kv.ts"
import { Cluster } from "./support/cluster.ts"
import { Connection } from "./support/connection.ts"
import { Load, median, quantile } from "./support/load.ts"
import { seed } from "./support/scenario.ts"

const mebibytes = Number(process.env["NETSY_JOIN_MIB"] ?? "1024")
const valueBytes = 64 << 10
const fillers = 8
const beforeMillis = 20_000
const joinLimitMillis = 600_000
const repeat = `NETSY_JOIN_MIB=${mebibytes} NETSY_SEED=${seed} make bench-join`

/** Different bytes in every value, or compression would take them away. */
const fill = async (cluster: Cluster): Promise<void> => {
  const count = Math.ceil((mebibytes << 20) / valueBytes)
  const primary = await cluster.primary()
  let next = 0
  const filler = async (): Promise<void> => {
    const connection = new Connection(primary.endpoint, cluster.certificates)
    for (let n = next++; n < count; n = next++) {
      const value = crypto.getRandomValues(new Uint8Array(valueBytes))
      const body = encodePutRequest({
        key: Buffer.from(`zz-fill-${n}`),
        value,
        lease: 0n,
        prevKv: false,
        ignoreValue: false,
        ignoreLease: false
      })
      await connection.unary("/etcdserverpb.KV/Put", body, 60_000)
    }
    connection.close()
  }
  await Promise.all(Array.from({ length: fillers }, filler))
}

describe("a node that joins a cluster with much data", () => {
  it("becomes a voter, and no write fails", { timeout: 3_600_000 }, async () => {
    const cluster = new Cluster({ seed })
    let good = false
    try {
      await cluster.start()
      await cluster.untilVoters(3)
      const began = performance.now()
      await fill(cluster)
      const filledSeconds = (performance.now() - began) / 1_000
      const from = Math.max(...[...(await cluster.facts()).values()].map(({ revision }) => revision)) + 1
      const three = cluster.nodes.map((node) => node.endpoint)
      const load = new Load(cluster, { seed, from, endpoints: () => three })
      load.start()
      const before = performance.now()
      await sleep(beforeMillis)
      const joining = performance.now()
      const node = await cluster.add()
      await cluster.untilHealthy(joinLimitMillis)
      const healthy = performance.now()
      await cluster.untilVoters(4, joinLimitMillis)
      const votes = performance.now()
      await sleep(2_000)
      await load.stop()
      const figures = (a: number, b: number): Record<string, number> => {
        const times = load.writes(a, b).map(({ ended, began }) => ended - began)
        return {
          writes: times.length,
          medianMillis: Math.round(median(times) * 10) / 10,
          p99Millis: Math.round(quantile(times, 0.99) * 10) / 10,
          maxMillis: Math.round(Math.max(...times))
        }
      }
      const failed = load.writes().filter(({ outcome }) => outcome !== "ok")
      const report = {
        mebibytes,
        filledSeconds: Math.round(filledSeconds),
        before: figures(before, joining),
        whileJoining: figures(joining, votes),
        healthyAfterSeconds: Math.round((healthy - joining) / 100) / 10,
        voterAfterSeconds: Math.round((votes - joining) / 100) / 10
      }
      process.stdout.write(`${JSON.stringify(report)}\nrepeat: ${repeat}\n`)
      assert.deepStrictEqual(
        failed.slice(0, 3).map(({ outcome, reason }) => `${outcome}: ${reason}`),
        []
      )
      load.watch(node)
      assert.deepStrictEqual(await load.complaints(), [], `repeat: ${repeat}`)
      good = true
    } catch (error) {
      process.stdout.write(`${cluster.tails()}\nlogs and data: ${cluster.folder}\nrepeat: ${repeat}\n`)
      throw error
    } finally {
      await cluster.release(!good)
    }
  })
})
