/** The compaction interval on a whole node: a watch whose client does not read loses nothing. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { WatchResponse } from "../../src/core/wire/messages.ts"
import { Kv } from "../../src/services/Kv.ts"
import { WatchHub } from "../../src/services/WatchHub.ts"
import { bytes, makeWorld, put, startNode } from "../node/world.ts"

const floor = Kv.use((kv) => Effect.sync(() => kv.floor()))

/** Puts until the floor is where it should be, so that revisions grow old. */
const untilFloor = (reached: (floor: number, revision: number) => boolean) =>
  Effect.gen(function* () {
    const kv = yield* Kv
    while (!reached(kv.floor(), kv.revision())) {
      yield* put("other", "x")
      yield* Effect.sleep(20)
    }
  })

describe("the compaction interval", () => {
  it.live(
    "never ends a watch that is behind, keeps the version before its next event, and goes on when it has caught up",
    () =>
      Effect.gen(function* () {
        const node = yield* startNode(makeWorld({ NETSY_COMPACTION_INTERVAL: "100ms" }))
        yield* node.use(
          Effect.gen(function* () {
            const hub = yield* WatchHub
            const received: Array<WatchResponse> = []
            let reads = true
            const stream = hub.open({
              send: (response) => {
                received.push(response)
                return reads
              }
            })
            stream.request({
              kind: "create",
              create: {
                key: bytes("a"),
                rangeEnd: new Uint8Array(0),
                startRevision: 0,
                progressNotify: false,
                filters: [],
                prevKv: true,
                watchId: 0n,
                fragment: false
              }
            })
            // A watch that has been sent everything holds nothing up, wherever it started.
            yield* put("a", "1")
            yield* untilFloor((at) => at >= 5)
            yield* put("a", "2")
            reads = false
            yield* put("a", "3")
            const blockedAt = (yield* Kv).revision()
            for (let i = 4; i <= 9; i++) yield* put("a", `${i}`)
            yield* untilFloor((at) => at >= blockedAt)
            // Several intervals later.
            yield* untilFloor((_, revision) => revision > blockedAt + 30)
            assert.strictEqual(yield* floor, blockedAt)
            reads = true
            stream.drained()
            yield* untilFloor((at) => at > blockedAt + 10)
            assert.isTrue(received.every((response) => !response.canceled))
            const events = received.flatMap((response) => response.events)
            const values = events.map(({ kv, prevKv }) => [
              Buffer.from(kv!.value).toString(),
              prevKv === undefined ? "" : Buffer.from(prevKv.value).toString()
            ])
            assert.deepStrictEqual(
              values,
              Array.from({ length: 9 }, (_, i) => [`${i + 1}`, i === 0 ? "" : `${i}`])
            )
            stream.close()
          })
        )
        yield* node.stop
      }),
    30_000
  )
})
