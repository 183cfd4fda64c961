import { assert, describe, it } from "@effect/vitest"
import { decodeLock, encodeLock, judgeLock, type Lock, type LockSight } from "../../src/core/election/lock.ts"

const held: Lock = { leaderId: "b", leaderAddr: "b:8443", lastUpdatedMillis: 1_000 }
const sight = (lock: LockSight["lock"], unchangedForMillis = 0): LockSight => ({ lock, etag: "e", unchangedForMillis })
const none = { deadSinceMillis: undefined, tookEarlyAtMillis: undefined }

describe("the lock object", () => {
  it("comes back from its bytes, and is resigned by the zero time", () => {
    const own = { leaderId: "a", leaderAddr: "a:8443" }
    assert.deepStrictEqual(decodeLock(encodeLock(own, "2026-05-28T07:21:29.123Z")), {
      ...own,
      lastUpdatedMillis: Date.parse("2026-05-28T07:21:29.123Z")
    })
    assert.deepStrictEqual(decodeLock(encodeLock(own, undefined)), { ...own, lastUpdatedMillis: 0 })
  })

  it("is taken when it is absent, damaged, one's own, resigned, or unchanged for 15 s", () => {
    for (const lock of [undefined, "not JSON", { ...held, leaderId: "a" }, { ...held, lastUpdatedMillis: 0 }]) {
      assert.deepStrictEqual(judgeLock(sight(lock), "a", none, 0), { kind: "take", early: false })
    }
    assert.deepStrictEqual(judgeLock(sight(held, 15_000), "a", none, 0), { kind: "take", early: false })
    assert.deepStrictEqual(judgeLock(sight(held, 14_000), "a", none, 0), { kind: "wait", holder: "b", millis: 1_000 })
  })

  it("is taken early when both ports of its holder were dead for 2 s, at most once in 15 s", () => {
    const dead = { deadSinceMillis: 10_000, tookEarlyAtMillis: undefined }
    assert.deepStrictEqual(judgeLock(sight(held), "a", dead, 11_999), { kind: "wait", holder: "b", millis: 1 })
    assert.deepStrictEqual(judgeLock(sight(held), "a", dead, 12_000), { kind: "take", early: true })
    const again = { ...dead, tookEarlyAtMillis: 5_000 }
    assert.deepStrictEqual(judgeLock(sight(held), "a", again, 12_000), { kind: "wait", holder: "b", millis: 8_000 })
    assert.deepStrictEqual(judgeLock(sight(held), "a", again, 20_000), { kind: "take", early: true })
  })
})
