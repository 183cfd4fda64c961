/** A server that is told to stop while somebody waits for a lock through the gateway. */
import { setTimeout as sleep } from "node:timers/promises"
import { assert, it } from "@effect/vitest"
import { startDaemon } from "../support/daemon.ts"

it("who waits for a lock through the gateway is told that the server stops, and does not hold it up", async () => {
  const daemon = await startDaemon({ program: "netsy" })
  try {
    const ask = async (path: string, body: unknown): Promise<{ readonly status: number; readonly text: string }> => {
      const response = await fetch(`http://${daemon.endpoint}${path}`, { method: "POST", body: JSON.stringify(body) })
      return { status: response.status, text: await response.text() }
    }
    const name = Buffer.from("held").toString("base64")
    assert.strictEqual((await ask("/v3/lock/lock", { name })).status, 200)
    const waiting = ask("/v3/lock/lock", { name })
    const all = { key: "AA==", range_end: "AA==", count_only: true }
    while (!(await ask("/v3/kv/range", all)).text.includes('"count":"2"')) await sleep(20)
    const before = performance.now()
    assert.strictEqual(await daemon.stop(), 0)
    // A server that waits for quiet gives up after five seconds.
    assert.isBelow(performance.now() - before, 4_000)
    const { status, text } = await waiting
    assert.strictEqual(status, 503)
    assert.include(text, "etcdserver: server stopped")
  } finally {
    await daemon.release()
  }
}, 60_000)
