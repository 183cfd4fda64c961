import { createHash } from "node:crypto"
import { connect as connectHttp2 } from "node:http2"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { SnapshotRequest, SnapshotResponse } from "../../src/core/wire/codec/maintenance.ts"
import { Code, type EtcdError, errors, etcdError } from "../../src/core/wire/errors.ts"
import * as ClientApiEtcd from "../../src/layers/ClientApiEtcd.ts"
import { ClientApi } from "../../src/services/ClientApi.ts"
import { type EtcdExport, ExportFailed } from "../../src/services/EtcdExport.ts"
import { ground } from "../clientapi/fakes.ts"
import { address, tcp, world as portWorld } from "../clientapi/plainPort.ts"
import { eventually } from "../support/eventually.ts"

const content = (count: number): Uint8Array => Uint8Array.from({ length: count }, (_, i) => (i * 31) % 251)

interface Shared {
  opened: number
  closed: number
  reads: number
}

/** One file, in memory. */
const exporterOf = (
  file: Uint8Array,
  shared: Shared,
  read: (offset: number) => Effect.Effect<void, ExportFailed> = () => Effect.void
): EtcdExport["Service"] => ({
  file: Effect.acquireRelease(
    Effect.sync(() => {
      shared.opened++
      return {
        bytes: file.length,
        revision: 5,
        read: (offset: number, count: number) =>
          Effect.andThen(
            read(offset),
            Effect.sync(() => {
              shared.reads++
              return file.slice(offset, offset + count)
            })
          )
      }
    }),
    () => Effect.sync(() => shared.closed++)
  ),
  hash: Effect.fail(errors.tooManyRequests),
  hashKv: () => Effect.fail(errors.tooManyRequests)
})

const openStream = Effect.gen(function* () {
  const api = yield* ClientApi
  const messages: Array<SnapshotResponse> = []
  let room = Number.POSITIVE_INFINITY
  let ended: EtcdError | "ok" | undefined
  const stream = api.stream(
    "/etcdserverpb.Maintenance/Snapshot",
    { identity: undefined, commonName: undefined, metadata: () => undefined },
    {
      send: (bytes) => {
        messages.push(SnapshotResponse.decode(bytes.slice()))
        return --room > 0
      },
      end: (error) => {
        ended = error ?? "ok"
      }
    }
  )
  return {
    messages,
    ended: () => ended,
    stream,
    begin: () => {
      stream.message(SnapshotRequest.encode({}))
      stream.ended()
    },
    takeOnly: (count: number) => {
      room = count
    },
    drain: (count: number) => {
      room = count
      stream.drained()
    }
  }
})

const settled = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 30)))

const world = (exporter: EtcdExport["Service"]) =>
  Layer.fresh(ClientApiEtcd.layer.pipe(Layer.provideMerge(ground({ exporter }))))

describe("Snapshot", () => {
  it.live("sends blobs of 32 KiB with what remains, then the sum of all of them", () => {
    const file = content(2 * 32_768 + 4096)
    const shared = { opened: 0, closed: 0, reads: 0 }
    return Effect.gen(function* () {
      const client = yield* openStream
      client.begin()
      yield* eventually("the stream ends", () => client.ended() !== undefined)
      assert.strictEqual(client.ended(), "ok")
      assert.deepStrictEqual(
        client.messages.map(({ blob, header, remainingBytes, version }) => [
          header,
          version,
          blob.length,
          remainingBytes
        ]),
        [
          [undefined, "3.7.0", 32_768, 36_864],
          [undefined, "3.7.0", 32_768, 4096],
          [undefined, "3.7.0", 4096, 0],
          [undefined, "3.7.0", 32, 0]
        ]
      )
      const parts = client.messages.map(({ blob }) => blob)
      assert.isTrue(Buffer.concat(parts.slice(0, -1)).equals(file))
      assert.isTrue(createHash("sha256").update(file).digest().equals(parts.at(-1)!))
      yield* eventually("the file is gone", () => shared.closed === 1)
    }).pipe(Effect.provide(world(exporterOf(file, shared))))
  })

  it.live("reads no further than the client takes, and goes on when there is room", () => {
    const shared = { opened: 0, closed: 0, reads: 0 }
    return Effect.gen(function* () {
      const client = yield* openStream
      client.takeOnly(2)
      client.begin()
      yield* eventually("two blobs", () => client.messages.length === 2)
      yield* settled
      assert.strictEqual(shared.reads, 2)
      client.drain(3)
      yield* eventually("five blobs", () => client.messages.length === 5)
      yield* settled
      assert.strictEqual(shared.reads, 5)
      client.drain(1000)
      yield* eventually("the end", () => client.ended() === "ok")
      assert.strictEqual(client.messages.length, 11)
    }).pipe(Effect.provide(world(exporterOf(content(10 * 32_768), shared))))
  })

  it.live("ends and frees the file when the client goes away, also while it waits for room", () => {
    const shared = { opened: 0, closed: 0, reads: 0 }
    return Effect.gen(function* () {
      const client = yield* openStream
      client.takeOnly(1)
      client.begin()
      yield* eventually("a blob", () => client.messages.length === 1)
      client.stream.closed()
      yield* eventually("the file is gone", () => shared.closed === 1)
      yield* settled
      assert.strictEqual(client.messages.length, 1)
      assert.strictEqual(client.ended(), undefined)
      // One that is closed before its request comes never begins.
      const early = yield* openStream
      early.stream.closed()
      early.begin()
      yield* settled
      assert.strictEqual(shared.opened, 1)
    }).pipe(Effect.provide(world(exporterOf(content(100_000), shared))))
  })

  it.live("frees the file of a client whose process is gone before anything was sent", () => {
    const shared = { opened: 0, closed: 0, reads: 0 }
    const exporter = exporterOf(content(100_000), shared, () => Effect.never)
    return Effect.gen(function* () {
      const socket = yield* tcp((yield* address).port)
      const session = connectHttp2("http://localhost", { createConnection: () => socket }).on("error", () => {})
      const request = session
        .request({
          ":method": "POST",
          ":path": "/etcdserverpb.Maintenance/Snapshot",
          "content-type": "application/grpc",
          te: "trailers"
        })
        .on("error", () => {})
      request.end(new Uint8Array(5))
      yield* eventually("the file is made", () => shared.opened === 1)
      // What a kernel says for a process that has ended.
      socket.end()
      yield* eventually("the file is gone", () => shared.closed === 1)
      session.destroy()
    }).pipe(Effect.provide(portWorld({ exporter })))
  })

  it.effect("gives up a client that takes nothing for two minutes", () => {
    const shared = { opened: 0, closed: 0, reads: 0 }
    return Effect.gen(function* () {
      const client = yield* openStream
      client.takeOnly(1)
      client.begin()
      yield* eventually("a blob", () => client.messages.length === 1)
      yield* TestClock.adjust("119 seconds")
      assert.strictEqual(client.ended(), undefined)
      yield* TestClock.adjust("2 seconds")
      yield* eventually("the file is gone", () => shared.closed === 1)
      assert.deepStrictEqual(client.ended(), errors.requestTimedOut)
    }).pipe(Effect.provide(world(exporterOf(content(100_000), shared))))
  })

  it.live("makes one file, however many requests the stream brings", () => {
    const shared = { opened: 0, closed: 0, reads: 0 }
    return Effect.gen(function* () {
      const client = yield* openStream
      client.begin()
      client.begin()
      yield* eventually("the end", () => client.ended() === "ok")
      assert.deepStrictEqual([shared.opened, client.messages.length], [1, 2])
    }).pipe(Effect.provide(world(exporterOf(content(4096), shared))))
  })

  it.live("ends with what went wrong", () => {
    const shared = { opened: 0, closed: 0, reads: 0 }
    const broken = new ExportFailed({ folder: "data", reason: "input/output error" })
    const exporter = exporterOf(content(100_000), shared, (at) => (at === 0 ? Effect.void : Effect.fail(broken)))
    return Effect.gen(function* () {
      const client = yield* openStream
      client.begin()
      yield* eventually("the end", () => client.ended() !== undefined)
      assert.deepStrictEqual(client.ended(), etcdError(Code.Internal, "netsy: an export in data: input/output error"))
      assert.strictEqual(shared.closed, 1)
    }).pipe(Effect.provide(world(exporter)))
  })
})
