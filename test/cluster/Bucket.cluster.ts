/** The bucket unreachable for a minute under load: hanging, and refusing. */
import { setTimeout as sleep } from "node:timers/promises"
import { describe, it } from "@effect/vitest"
import { brief } from "./support/load.ts"
import { until } from "./support/process.ts"
import { repeatOf, type Run, scenario } from "./support/scenario.ts"

const file = "Bucket.cluster.ts"
const timeout = 900_000
const outageMillis = 60_000

/** No bucket for a minute; the writes of that time. */
const outage = async ({ cluster, figures, load, say }: Run, hangs: boolean): Promise<Array<string>> => {
  const found: Array<string> = []
  const primary = await cluster.primary()
  const from = performance.now()
  if (hangs) cluster.bucket.pause()
  else cluster.bucket.faults({ down: true })
  await sleep(outageMillis)
  const to = performance.now()
  const { text } = await primary.ready()
  figures["readiness"] = text
  if (hangs) cluster.bucket.resume()
  else cluster.bucket.faults({ down: false })
  const during = load.writes(from, to)
  const ok = during.filter(({ outcome }) => outcome === "ok").length
  figures["during"] = { writes: during.length, ok, stalls: brief(load.stalls(from, to)) }
  say(`${ok} of ${during.length} writes while the bucket was away; readiness: ${text}`)
  await load.untilFlowing(performance.now())
  figures["backAfter"] = brief(load.gapsAfter(to))
  await cluster.untilHealthy()
  return found
}

describe("the bucket unreachable for a minute", () => {
  for (const hangs of [true, false]) {
    const how = hangs ? "hanging" : "refusing"
    const quorum = `and ${how}: quorum mode goes on, says so, and uploads everything afterwards`
    it(quorum, { timeout }, async () => {
      await scenario({ repeat: repeatOf(file, quorum) }, async (run) => {
        const { cluster, load } = run
        await cluster.untilVoters(3)
        const from = performance.now()
        const found = await outage(run, hangs)
        const failed = load.writes(from, from + outageMillis).filter(({ outcome }) => outcome !== "ok")
        if (failed.length > 0) found.push(`${failed.length} writes failed: ${failed[0]!.reason}`)
        if (!/degraded|bucket|storage|upload/i.test(String(run.figures["readiness"])))
          found.push(`readiness says nothing about the bucket: ${String(run.figures["readiness"])}`)
        const facts = await (await cluster.primary()).facts()
        await until("everything of the outage is in the bucket", 120_000, () => {
          return cluster.bucket.highestChunk() >= facts!.raftIndex
        })
        return found
      })
    })

    const store = `and ${how}: store mode waits or fails clearly, and loses nothing`
    it(store, { timeout }, async () => {
      const settings = { replication: { quorum: 0 } }
      await scenario({ settings, repeat: repeatOf(file, store) }, (run) => outage(run, hangs))
    })
  }
})
