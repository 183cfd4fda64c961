/** What a StatefulSet does to pods over their life, and why the chart starts them in parallel. `make test-helm` */
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import type { Arbiter } from "../../src/core/election/arbiter.ts"
import { until } from "../cluster/support/process.ts"
import { ChartRenderer, type Values } from "./chart.ts"
import { type Pod, PodsOfRelease } from "./release.ts"

let chart: ChartRenderer
beforeAll(async () => {
  chart = await ChartRenderer.start()
}, 300_000)
afterAll(() => chart?.close())

const withPods = async (values: Values, run: (release: PodsOfRelease) => Promise<void>): Promise<void> => {
  const release = await PodsOfRelease.lay(chart, values)
  try {
    await run(release)
  } finally {
    await release.release()
  }
}

const voters = (release: PodsOfRelease): NonNullable<Arbiter["voters"]> => release.bucket.arbiter()?.voters ?? []

/** As they run now: none of another life. */
const untilVoters = (release: PodsOfRelease, count: number): Promise<void> =>
  until(`${count} voters`, 60_000, () => {
    const found = voters(release)
    return (
      found.length === count &&
      found.every(({ incarnation, nodeId }) => release.bucket.registration(nodeId)?.incarnation === incarnation)
    )
  })

const startAll = async (release: PodsOfRelease, pods: ReadonlyArray<Pod>): Promise<void> => {
  for (const pod of pods) pod.start()
  await release.untilReady(pods)
}

describe("pods", { timeout: 300_000 }, () => {
  it("one of three is ready alone in a new cluster", () =>
    withPods({}, async (release) => {
      const [first] = release.pods
      await startAll(release, [first!])
      await release.put(first!, "a", "1")
      assert.strictEqual(await release.get(first!, "a"), "1")
    }))

  it("one of three that all died in quorum mode is alive, not ready, until a second one is there", () =>
    withPods({}, async (release) => {
      const [first, second] = release.pods
      await startAll(release, release.pods)
      await untilVoters(release, 3)
      await release.put(second!, "a", "1")
      await Promise.all(release.pods.map((pod) => pod.process.kill9()))
      first!.start()
      await until("netsy-0 waits for voters", 30_000, async () =>
        (await first!.probe("/readyz")).text.includes("2 of the 3 voters of term")
      )
      // As long as it takes: longer than the Elector's lock and everything else that it could wait for.
      for (const end = performance.now() + 30_000; performance.now() < end; await sleep(1_000)) {
        assert.strictEqual((await first!.probe("/readyz")).status, 503)
        assert.strictEqual((await first!.probe("/livez")).status, 200)
      }
      second!.start()
      await release.untilReady([first!, second!])
      assert.strictEqual(await release.get(first!, "a"), "1")
    }))

  it("that are updated one by one with an emptyDir keep everything", () =>
    withPods({}, async (release) => {
      await startAll(release, release.pods)
      await untilVoters(release, 3)
      for (const [i, pod] of [...release.pods].reverse().entries()) {
        await release.put(pod, `before-${i}`, pod.name)
        assert.strictEqual(await pod.process.stop(), 0)
        pod.loseEmptyDirs()
        await startAll(release, [pod])
        // The chart's minReadySeconds.
        await sleep(15_000)
        assert.lengthOf(voters(release), 3, `${pod.name} is a voter again when the next one is stopped`)
      }
      for (const pod of release.pods)
        for (const i of [0, 1, 2]) assert.strictEqual(await release.get(pod, `before-${i}`), release.pods[2 - i]!.name)
    }))

  it("are scaled from three to five and back under the same service", () =>
    withPods({ replicas: 5 }, async (release) => {
      const three = release.pods.slice(0, 3)
      const more = release.pods.slice(3)
      await startAll(release, three)
      await untilVoters(release, 3)
      await release.put(three[0]!, "at", "three")
      await startAll(release, more)
      await untilVoters(release, 5)
      assert.strictEqual(await release.get(more[1]!, "at"), "three")
      await release.put(more[1]!, "at", "five")
      assert.deepStrictEqual(await Promise.all(more.map((pod) => pod.process.stop())), [0, 0])
      await untilVoters(release, 3)
      await release.untilReady(three)
      for (const pod of three) assert.strictEqual(await release.get(pod, "at"), "five")
      await release.put(three[2]!, "at", "three again")
      assert.strictEqual(await release.get(three[0]!, "at"), "three again")
    }))

  it("that are all stopped at once and lose their emptyDirs come back at once: the bucket has everything", () =>
    withPods({}, async (release) => {
      await startAll(release, release.pods)
      await untilVoters(release, 3)
      await release.put(release.pods[0]!, "a", "1")
      assert.deepStrictEqual(await Promise.all(release.pods.map((pod) => pod.process.stop())), [0, 0, 0])
      for (const pod of release.pods) pod.loseEmptyDirs()
      const begun = performance.now()
      await startAll(release, release.pods)
      assert.isBelow(performance.now() - begun, 60_000)
      for (const pod of release.pods) {
        assert.strictEqual(await release.get(pod, "a"), "1")
        assert.notInclude(pod.process.log(), "recovered_with_possible_loss")
      }
    }))

  it("that are all killed at once and lose their emptyDirs come back after the deregistration timeout, and say so", () =>
    withPods({ extraEnv: [{ name: "NETSY_ELECTOR_DEREGISTRATION_TIMEOUT", value: "20s" }] }, async (release) => {
      await startAll(release, release.pods)
      await untilVoters(release, 3)
      await release.put(release.pods[0]!, "a", "1")
      await Promise.all(release.pods.map((pod) => pod.process.kill9()))
      for (const pod of release.pods) pod.loseEmptyDirs()
      await startAll(release, release.pods)
      assert.isTrue(release.pods.some((pod) => pod.process.log().includes("recovered_with_possible_loss")))
    }))

  it("that are scaled to one before they are scaled to none come back at once", () =>
    withPods({}, async (release) => {
      const [first, ...others] = release.pods
      await startAll(release, release.pods)
      await untilVoters(release, 3)
      await release.put(others[1]!, "a", "1")
      await Promise.all(others.map((pod) => pod.process.stop()))
      await until("mode store", 60_000, () => voters(release).length === 0)
      await first!.process.stop()
      for (const pod of release.pods) pod.loseEmptyDirs()
      const begun = performance.now()
      await startAll(release, release.pods)
      assert.isBelow(performance.now() - begun, 60_000)
      for (const pod of release.pods) {
        assert.strictEqual(await release.get(pod, "a"), "1")
        assert.notInclude(pod.process.log(), "recovered_with_possible_loss")
      }
    }))
})
