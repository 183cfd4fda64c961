/** Unary calls as they come over HTTP/2: in pieces, given up, and left to grpc-js. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { decodeRangeResponse, encodePutRequest, encodeRangeRequest } from "../../src/core/wire/codec/kv.ts"
import { Metrics } from "../../src/services/Metrics.ts"
import { putOf, rangeOf } from "./fakes.ts"
import { connect } from "./grpcClient.ts"
import { address, rawSession, world } from "./plainPort.ts"
import { eventually } from "../support/eventually.ts"

const range = "/etcdserverpb.KV/Range"
const put = "/etcdserverpb.KV/Put"

const headersOf = (path: string) => ({ ":method": "POST", ":path": path, "content-type": "application/grpc" })

const framed = (message: Uint8Array): Buffer => {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

describe("unary calls", () => {
  it.live("a request that comes byte by byte is read whole", () =>
    Effect.gen(function* () {
      const listener = yield* address
      const session = yield* rawSession(listener.port)
      const value = Uint8Array.from({ length: 40 }, (_, n) => n)
      const status = yield* Effect.callback<unknown>((resume) => {
        const stream = session.request(headersOf(put))
        stream.on("trailers", (headers) => resume(Effect.succeed(headers["grpc-status"])))
        stream.resume()
        const bytes = framed(encodePutRequest(putOf("a", value)))
        const next = (at: number): void => {
          if (at === bytes.length) stream.end()
          else stream.write(bytes.subarray(at, at + 1), () => next(at + 1))
        }
        next(0)
      })
      assert.strictEqual(Number(status), 0)
      const client = yield* connect(listener)
      const read = decodeRangeResponse(yield* client.call(range, encodeRangeRequest(rangeOf("a"))))
      assert.deepStrictEqual(Array.from(read.kvs[0]!.value), Array.from(value))
    }).pipe(Effect.provide(world()))
  )

  it.live("a call that is given up before its answer counts as Canceled, once", () => {
    const held: Array<() => void> = []
    return Effect.gen(function* () {
      const session = yield* rawSession((yield* address).port)
      const stream = session.request(headersOf(put))
      stream.on("error", () => {})
      stream.end(framed(encodePutRequest(putOf("a", new Uint8Array(1)))))
      yield* eventually("held", () => held.length === 1)
      stream.close(8)
      const { render } = yield* Metrics
      const canceled = 'grpc_method="Put",grpc_code="Canceled"} 1'
      for (let i = 0; i < 500 && !(yield* Effect.promise(render)).includes(canceled); i++) yield* Effect.sleep(10)
      // The late answer of the handler goes nowhere and is not counted.
      held[0]!()
      const text = yield* Effect.promise(render)
      assert.include(text, canceled)
      assert.include(text, 'grpc_method="Put",grpc_code="OK"} 0')
    }).pipe(Effect.provide(world({ watched: { barriers: 0, held } })))
  })

  it.live("odd but legal headers change nothing: identity named, a deadline given", () =>
    Effect.gen(function* () {
      const session = yield* rawSession((yield* address).port)
      for (const extra of [
        { "grpc-encoding": "identity" },
        { "grpc-timeout": "20S" },
        { "grpc-timeout": "9000000u" }
      ]) {
        const answer = yield* Effect.callback<ReadonlyArray<unknown>>((resume) => {
          const stream = session.request({ ...headersOf(range), ...extra })
          const pieces: Array<Buffer> = []
          stream.on("data", (piece: Buffer) => pieces.push(piece))
          stream.on("trailers", (headers) =>
            resume(Effect.succeed([headers["grpc-status"], headers["grpc-message"], Buffer.concat(pieces).length > 5]))
          )
          stream.end(framed(encodeRangeRequest(rangeOf("a"))))
        })
        assert.deepStrictEqual(answer, ["0", "OK", true])
      }
    }).pipe(Effect.provide(world()))
  )
})
