/** What the cluster scenarios lean on finds faults: three etcds that form no cluster must not pass for one. */
import { setTimeout as sleep } from "node:timers/promises"
import { assert, describe, it } from "@effect/vitest"
import { Cluster } from "./support/cluster.ts"
import { Load } from "./support/load.ts"

describe("the checks of the cluster scenarios", () => {
  const run = async (split: boolean): Promise<ReadonlyArray<string>> => {
    const cluster = new Cluster({ program: "etcd", split })
    try {
      await cluster.start()
      const load = new Load(cluster, { clients: 6, pauseMillis: 20 })
      load.start()
      await sleep(2_000)
      await load.stop()
      assert.isAbove(load.acknowledged, 20)
      return await load.complaints(5_000)
    } finally {
      await cluster.release(false)
    }
  }

  it("find nothing wrong with three etcds in one cluster", { timeout: 120_000 }, async () => {
    assert.deepStrictEqual(await run(false), [])
  })

  it(
    "find lost writes and stale reads where three etcds know nothing of each other",
    { timeout: 120_000 },
    async () => {
      const found = (await run(true)).join("\n")
      assert.include(found, "is lost")
      assert.match(found, /#\d+/)
    }
  )
})
