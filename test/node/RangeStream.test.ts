/** Rule R12 on a whole node: chunks joined are the Range answer; what ends a stream early. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { decodeRangeResponse, encodeRangeRequest } from "../../src/core/wire/codec/kv.ts"
import { Code, type EtcdError, errors } from "../../src/core/wire/errors.ts"
import type { RangeRequest, RangeResponse } from "../../src/core/wire/messages.ts"
import { Reader } from "../../src/core/wire/protobuf.ts"
import * as AccessOpen from "../support/AccessOpen.ts"
import { rangeStream } from "../../src/layers/clientapi/rangeStream.ts"
import { Access } from "../../src/services/Access.ts"
import type { StreamIn } from "../../src/services/ClientApi.ts"
import { Kv } from "../../src/services/Kv.ts"
import { asEffect, bytes, compact, makeWorld, put, rangeOf, type Running, startNode } from "./world.ts"

const all = (changes: Partial<RangeRequest> = {}): RangeRequest => ({
  ...rangeOf(Uint8Array.of(0), Uint8Array.of(0), 0, false),
  ...changes
})

interface Streamed {
  readonly chunks: ReadonlyArray<RangeResponse>
  readonly error: EtcdError | undefined
}

const wanted = 2_000

/** `room` says whether the receiver takes more after its n-th message; `between` runs when it does not. */
const stream = (
  node: Running,
  request: RangeRequest,
  between: (nth: number, stream: StreamIn) => boolean = () => true
): Effect.Effect<Streamed> =>
  node.use(
    Effect.gen(function* () {
      const kv = yield* Kv
      const access = yield* Access
      return yield* Effect.callback<Streamed>((resume) => {
        const chunks: Array<RangeResponse> = []
        const opened: StreamIn = rangeStream(
          kv,
          access,
          wanted
        )(
          {
            send: (message) => {
              const reader = new Reader(message)
              assert.strictEqual(reader.tag(), 10)
              chunks.push(decodeRangeResponse(reader.bytes()))
              return between(chunks.length, opened)
            },
            end: (error) => resume(Effect.succeed({ chunks, error }))
          },
          { identity: undefined, metadata: () => undefined } as never
        )
        opened.message(encodeRangeRequest(request))
        opened.ended()
      })
    }).pipe(Effect.provide(Layer.fresh(AccessOpen.layer)))
  )

const answer = (node: Running, request: RangeRequest) =>
  node.use(Kv.use((kv) => asEffect<RangeResponse>((reply) => kv.range(request, reply))))

const filled = Effect.gen(function* () {
  const node = yield* startNode(makeWorld())
  for (let round = 0; round < 2; round++) {
    yield* Effect.forEach(
      Array.from({ length: 150 }, (_, i) => i),
      (i) => node.use(put(`k${String(i).padStart(3, "0")}`, `${round}`.repeat(i))),
      { concurrency: 50 }
    )
  }
  return node
})

describe("a range stream", () => {
  it.live("joined, is what Range answers, for limits, old revisions, keys only and count only", () =>
    Effect.gen(function* () {
      const node = yield* filled
      for (const changes of [
        {},
        { limit: 77 },
        { revision: 120 },
        { keysOnly: true },
        { countOnly: true },
        { key: bytes("x") },
        { key: bytes("k003"), rangeEnd: new Uint8Array(0) }
      ]) {
        const request = all(changes)
        const { chunks, error } = yield* stream(node, request)
        assert.isUndefined(error)
        const whole = yield* answer(node, request)
        const last = chunks.at(-1)!
        assert.deepStrictEqual(
          chunks.flatMap(({ kvs }) => kvs),
          whole.kvs
        )
        assert.deepStrictEqual(
          { header: last.header, more: last.more, count: last.count },
          { header: whole.header, more: whole.more, count: whole.count }
        )
        for (const chunk of chunks.slice(0, -1)) {
          assert.deepStrictEqual([chunk.header, chunk.more, chunk.count], [undefined, false, 0])
        }
        assert.isAtMost(chunks[0]!.kvs.length, 10)
      }
      yield* node.stop
    })
  )

  it.live("shows the revision at which it began, and waits for a receiver that is full", () =>
    Effect.gen(function* () {
      const node = yield* filled
      const before = yield* answer(node, all())
      const { chunks } = yield* stream(node, all(), (nth, opened) => {
        if (nth > 3) return true
        Effect.runFork(
          node.use(put("k100", "later")).pipe(Effect.ignore, Effect.andThen(Effect.sync(() => opened.drained())))
        )
        return false
      })
      assert.deepStrictEqual(
        chunks.flatMap(({ kvs }) => kvs),
        before.kvs
      )
      assert.deepStrictEqual(chunks.at(-1)!.header, before.header)
      yield* node.stop
    })
  )

  it.live("ends with the compacted error when a compaction overtakes it", () =>
    Effect.gen(function* () {
      const node = yield* filled
      const { error } = yield* stream(node, all({ revision: 250 }), (nth, opened) => {
        if (nth > 1) return true
        Effect.runFork(node.use(compact(290)).pipe(Effect.ignore, Effect.andThen(Effect.sync(() => opened.drained()))))
        return false
      })
      assert.deepStrictEqual(error, errors.compacted)
      yield* node.stop
    })
  )

  it.live("refuses sorting and filters as etcd does", () =>
    Effect.gen(function* () {
      const node = yield* startNode(makeWorld())
      const sorted = yield* stream(node, all({ sortOrder: 2 }))
      assert.deepStrictEqual(
        [sorted.error?.code, sorted.error?.message],
        [Code.Unimplemented, "RangeStream does not support custom sort orders"]
      )
      const filtered = yield* stream(node, all({ minModRevision: 1 }))
      assert.strictEqual(filtered.error?.message, "RangeStream does not support revision filters")
      const empty = yield* stream(node, all({ key: new Uint8Array(0), rangeEnd: new Uint8Array(0) }))
      assert.deepStrictEqual(empty.error, errors.emptyKey)
      yield* node.stop
    })
  )
})
