/** The pods that the chart describes, run as processes: they find each other, answer their probes, serve and stop in time. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import type { IServiceMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor"
import { until } from "../cluster/support/process.ts"
import { ChartRenderer, only } from "./chart.ts"
import { containerOf } from "./pod.ts"
import { PodsOfRelease } from "./release.ts"

let chart: ChartRenderer
let release: PodsOfRelease
beforeAll(async () => {
  chart = await ChartRenderer.start()
  release = await PodsOfRelease.lay(chart)
}, 300_000)
afterAll(async () => {
  await release?.release()
  chart?.close()
})

describe("three pods of the default chart", () => {
  it(
    "become one cluster with what the chart gives them, and stop within their grace period",
    { timeout: 120_000 },
    async () => {
      const { pods, set } = release
      assert.deepStrictEqual(
        pods.map(({ name }) => name),
        ["netsy-0", "netsy-1", "netsy-2"]
      )
      const [first, ...others] = pods
      const { livenessProbe, readinessProbe, startupProbe } = containerOf(set)
      release.bucket.pause()
      first!.start()
      await until("netsy-0 is alive", 30_000, async () => {
        const { status } = await first!.probe(startupProbe!.httpGet!.path!)
        return status === 200
      })
      assert.strictEqual(
        (await first!.probe(livenessProbe!.httpGet!.path!)).status,
        200,
        "loading is no reason to restart"
      )
      assert.strictEqual((await first!.probe(readinessProbe!.httpGet!.path!)).status, 503, "loading is not ready")
      release.bucket.resume()
      for (const pod of others) pod.start()
      await release.untilReady()

      const monitored = await chart.render({ serviceMonitor: { enabled: true } })
      const [scraped] = only<IServiceMonitor>(monitored, "ServiceMonitor").spec!.endpoints!
      for (const pod of pods) {
        for (const probe of [livenessProbe, readinessProbe, startupProbe])
          assert.strictEqual(
            (await pod.probe(probe!.httpGet!.path!)).status,
            200,
            `${pod.name} ${probe!.httpGet!.path}`
          )
        assert.match((await pod.probe(scraped!.path!)).text, /^netsy_info\{.*cluster_id="my-cluster"/m)
      }

      await release.put(pods[0]!, "from", "netsy-0")
      assert.strictEqual(await release.get(pods[2]!, "from"), "netsy-0")
      const members = await release.call(pods[1]!, "/v3/cluster/member/list", {})
      const urls = (members as { readonly members: ReadonlyArray<{ readonly clientURLs: ReadonlyArray<string> }> })
        .members
      assert.sameMembers(
        urls.flatMap(({ clientURLs }) => clientURLs),
        pods.map(({ name }) => `https://${name}.netsy.default.svc.cluster.local:2378`)
      )

      const status = await first!.exec("status")
      for (const { name } of pods) assert.match(status, new RegExp(`^${name} +healthy`, "m"))

      for (const pod of pods) {
        const written = pod.files().filter((file) => !file.startsWith("etc/netsy/"))
        assert.include(written, "var/lib/netsy/db.sqlite3")
        assert.deepStrictEqual(
          written.filter((file) => !file.startsWith("var/lib/netsy/")),
          [],
          "nothing is written beside the data directory"
        )
      }

      const begun = performance.now()
      const codes = await Promise.all(pods.map((pod) => pod.process.stop()))
      assert.deepStrictEqual(codes, [0, 0, 0])
      const grace = set.spec!.template.spec!.terminationGracePeriodSeconds!
      assert.isBelow(performance.now() - begun, grace * 1000)
    }
  )
})
