/** Streams through the JSON gateway over real connections: lines, errors, slow readers, and clients that go away. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { decodeWatchRequest, encodeWatchResponse } from "../../src/core/wire/codec/watch.ts"
import { errors } from "../../src/core/wire/errors.ts"
import type { CallContext, StreamOut } from "../../src/services/ClientApi.ts"
import { HttpApi } from "../../src/services/HttpApi.ts"
import { Supervisor } from "../../src/services/Supervisor.ts"
import { rawSession, tcp } from "../clientapi/plainPort.ts"
import { messageType } from "../wire/reference.ts"
import { address, stream, worldOf } from "./server.ts"
import { eventually } from "../support/eventually.ts"

const keepAliveAnswer = (id: number, ttl: number): Uint8Array =>
  messageType("etcdserverpb.LeaseKeepAliveResponse").encode({ ID: id, TTL: ttl }).finish()

const created = (watchId: number): Uint8Array =>
  encodeWatchResponse({
    header: { clusterId: 1n, memberId: 2n, revision: 7, raftTerm: 1 },
    watchId: BigInt(watchId),
    created: true,
    canceled: false,
    compactRevision: 0,
    cancelReason: "",
    fragment: false,
    events: []
  })

/** What a stream's handler has seen, and its way out. */
interface Seen {
  out: StreamOut | undefined
  readonly messages: Array<Uint8Array>
  drained: number
  ended: number
  closed: number
}

const handler = () => {
  const seen: Seen = { out: undefined, messages: [], drained: 0, ended: 0, closed: 0 }
  return {
    seen,
    stream: (_method: string, _context: CallContext, out: StreamOut) => {
      seen.out = out
      return {
        message: (bytes: Uint8Array) => void seen.messages.push(bytes),
        drained: () => void seen.drained++,
        ended: () => void seen.ended++,
        closed: () => void seen.closed++
      }
    }
  }
}

describe("streams through the gateway", () => {
  const isClosed = ({ seen }: { readonly seen: Seen }) => eventually("closed", () => seen.closed === 1)

  it.live("a stream answers line by line, and goes on after the request's body if its handler does", () => {
    const watch = handler()
    return Effect.gen(function* () {
      const given = yield* stream((yield* address).port, "/v3/watch")
      given.write('{"create_request":{"key":"YQ=="}} {"create_request"')
      yield* eventually("asked", () => watch.seen.messages.length === 1)
      assert.strictEqual(decodeWatchRequest(watch.seen.messages[0]!).kind, "create")
      assert.isUndefined(given.response())
      watch.seen.out!.send(created(0))
      yield* eventually("answered", () => given.lines.length === 1)
      assert.strictEqual(given.response()!.statusCode, 200)
      assert.deepStrictEqual(given.lines[0], {
        result: { header: { cluster_id: "1", member_id: "2", revision: "7", raft_term: "1" }, created: true }
      })
      given.write(':{"watch_id":3}}\n{"progress_request":{}}')
      given.endRequest()
      yield* eventually("asked", () => watch.seen.messages.length === 3)
      watch.seen.out!.send(created(3))
      yield* eventually("answered", () => given.lines.length === 2)
      assert.isFalse(given.isEnded())
      assert.strictEqual(watch.seen.ended, 1)
      given.destroy()
      yield* isClosed(watch)
      assert.isTrue((yield* HttpApi).isQuiet())
      assert.isFalse(watch.seen.out!.send(created(4)))
    }).pipe(Effect.provide(worldOf({ stream: watch.stream })))
  })

  it.live("keep-alives end with the request; a lease that is gone has no TTL in its line", () => {
    const keepAlive = handler()
    return Effect.gen(function* () {
      const given = yield* stream((yield* address).port, "/v3/lease/keepalive")
      given.write('{"ID":"7"}{"ID":8}')
      given.endRequest()
      yield* eventually("asked", () => keepAlive.seen.ended === 1)
      assert.strictEqual(keepAlive.seen.messages.length, 2)
      keepAlive.seen.out!.send(keepAliveAnswer(7, 10))
      keepAlive.seen.out!.send(keepAliveAnswer(8, 0))
      keepAlive.seen.out!.end(undefined)
      yield* eventually("ended", given.isEnded)
      assert.deepStrictEqual(given.lines, [{ result: { ID: "7", TTL: "10" } }, { result: { ID: "8" } }])
      yield* isClosed(keepAlive)
    }).pipe(Effect.provide(worldOf({ stream: keepAlive.stream })))
  })

  it.live("an empty body asks a server's stream once; more than one request does not ask it again", () => {
    const snapshot = handler()
    return Effect.gen(function* () {
      const { port } = yield* address
      for (const body of ["", "{}", "{}{}"]) {
        snapshot.seen.messages.length = 0
        const before = snapshot.seen.ended
        const given = yield* stream(port, "/v3/maintenance/snapshot")
        given.write(body)
        given.endRequest()
        yield* eventually("asked", () => snapshot.seen.ended === before + 1)
        assert.strictEqual(snapshot.seen.messages.length, 1, body)
        snapshot.seen.out!.end(undefined)
        yield* eventually("ended", given.isEnded)
        assert.deepStrictEqual(given.lines, [])
        assert.strictEqual(given.response()!.statusCode, 200)
      }
    }).pipe(Effect.provide(worldOf({ stream: snapshot.stream })))
  })

  it.live("an error before the first answer has a status, one after it is a line with everybody's fields", () => {
    const watch = handler()
    return Effect.gen(function* () {
      const { port } = yield* address
      const early = yield* stream(port, "/v3/watch")
      early.write(" ")
      yield* eventually("opened", () => watch.seen.out !== undefined)
      watch.seen.out!.end(errors.permissionDenied)
      yield* eventually("answered", () => early.response() !== undefined)
      assert.strictEqual(early.response()!.statusCode, 403)
      watch.seen.out = undefined
      const late = yield* stream(port, "/v3/watch")
      late.write(" ")
      yield* eventually("opened", () => watch.seen.out !== undefined)
      watch.seen.out!.send(created(0))
      watch.seen.out!.end(errors.noLeader)
      yield* eventually("ended", late.isEnded)
      const { code, message } = errors.noLeader
      assert.deepStrictEqual(late.lines[1], {
        error: { grpc_code: code, http_code: 503, http_status: "Service Unavailable", code, message, details: [] }
      })
    }).pipe(Effect.provide(worldOf({ stream: watch.stream })))
  })

  it.live("a request that cannot be read ends the stream with the reason, and frees it", () => {
    const watch = handler()
    return Effect.gen(function* () {
      const { port } = yield* address
      for (const body of [
        "garbage",
        '{"create_request":{"key":"*"}}',
        '{"create_request"',
        `{"x":"${"y".repeat(5_000_000)}"}`
      ]) {
        watch.seen.closed = 0
        const given = yield* stream(port, "/v3/watch")
        given.write(body)
        given.endRequest()
        yield* eventually(`answered ${body.slice(0, 30)}`, () => given.response() !== undefined)
        assert.strictEqual(given.response()!.statusCode, 400)
        yield* isClosed(watch)
      }
      const given = yield* stream(port, "/v3/watch")
      given.write("{}")
      yield* eventually("asked", () => watch.seen.messages.length === 1)
      watch.seen.out!.send(created(0))
      given.write("[]")
      yield* eventually("ended", given.isEnded)
      assert.strictEqual((given.lines[1] as { error: { code: number } }).error.code, 3)
    }).pipe(Effect.provide(worldOf({ stream: watch.stream })))
  })

  it.live("a slow reader is not sent more than a buffer, nor read from, until it reads again", () => {
    const watch = handler()
    const message = messageType("etcdserverpb.WatchResponse")
      .encode({ cancel_reason: "x".repeat(1 << 18) })
      .finish()
    return Effect.gen(function* () {
      const given = yield* stream((yield* address).port, "/v3/watch")
      given.write("{}")
      yield* eventually("asked", () => watch.seen.messages.length === 1)
      watch.seen.out!.send(message)
      yield* eventually("answered", () => given.response() !== undefined)
      given.response()!.pause()
      let sent = 1
      // The kernel's buffers take some of it, and perhaps some more.
      for (let drained = -1; drained !== watch.seen.drained; yield* Effect.sleep(100)) {
        ;({ drained } = watch.seen)
        for (let isFull = false; !isFull; sent++) isFull = !watch.seen.out!.send(message)
        assert.isBelow(sent, 500)
      }
      given.write("{}{}")
      yield* Effect.sleep(50)
      assert.strictEqual(watch.seen.messages.length, 1)
      const { drained } = watch.seen
      given.response()!.resume()
      yield* eventually("drained", () => watch.seen.drained > drained)
      yield* eventually("arrived", () => given.lines.length === sent)
      yield* eventually("asked", () => watch.seen.messages.length === 3)
    }).pipe(Effect.provide(worldOf({ stream: watch.stream })))
  })

  it.live("over HTTP/2 a slow reader is held back the same way, and one that resets its stream is gone", () => {
    const watch = handler()
    const blob = messageType("etcdserverpb.SnapshotResponse")
      .encode({ blob: Buffer.alloc(1 << 16, 1) })
      .finish()
    return Effect.gen(function* () {
      const session = yield* rawSession((yield* address).port)
      const request = session.request({ ":method": "POST", ":path": "/v3/maintenance/snapshot" })
      request.on("error", () => {})
      request.end("{}")
      yield* eventually("asked", () => watch.seen.messages.length === 1)
      let sent = 0
      yield* eventually("full", () => ++sent > 1_000 || !watch.seen.out!.send(blob))
      assert.isBelow(sent, 100)
      let lines = 0
      request.setEncoding("utf8")
      request.on("data", (piece: string) => (lines += piece.split("\n").length - 1))
      yield* eventually("drained", () => watch.seen.drained === 1)
      yield* eventually("arrived", () => lines === sent)
      request.close(8)
      yield* isClosed(watch)
      assert.isFalse(watch.seen.out!.send(blob))
      assert.isTrue((yield* HttpApi).isQuiet())
    }).pipe(Effect.provide(worldOf({ stream: watch.stream })))
  })

  it.live("calls that wait behind another on their connection are freed with it", () => {
    const watch = handler()
    let waiting = 0
    let closed = 0
    return Effect.gen(function* () {
      const socket = yield* tcp((yield* address).port)
      const one = (path: string) => `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}`
      socket.write(one("/v3/watch") + one("/v3/watch") + one("/v3/lock/lock") + one("/v3/maintenance/snapshot"))
      yield* eventually("asked", () => watch.seen.messages.length === 3 && waiting === 1)
      socket.destroy()
      yield* eventually("closed", () => watch.seen.closed === 3 && closed === 1)
      assert.isTrue((yield* HttpApi).isQuiet())
    }).pipe(
      Effect.provide(
        worldOf({
          stream: watch.stream,
          unary: (_method, _request, context) => {
            waiting++
            context.onClosed?.(() => closed++)
          }
        })
      )
    )
  })

  it.live("when the server stops, open streams end as Unavailable", () => {
    const watch = handler()
    return Effect.gen(function* () {
      const given = yield* stream((yield* address).port, "/v3/watch")
      given.write("{}")
      yield* eventually("asked", () => watch.seen.messages.length === 1)
      watch.seen.out!.send(created(0))
      yield* eventually("answered", () => given.lines.length === 1)
      const { isQuiet, stop } = yield* HttpApi
      stop()
      yield* eventually("ended", given.isEnded)
      assert.strictEqual((given.lines[1] as { error: { message: string } }).error.message, errors.serverStopped.message)
      yield* isClosed(watch)
      assert.isTrue(isQuiet())
    }).pipe(Effect.provide(worldOf({ stream: watch.stream })))
  })

  it.live("what a stream's handler throws ends the stream and the process", () =>
    Effect.gen(function* () {
      const given = yield* stream((yield* address).port, "/v3/watch")
      given.write("{}")
      yield* eventually("answered", () => given.response() !== undefined)
      assert.strictEqual(given.response()!.statusCode, 500)
      const ended = yield* Effect.flip((yield* Supervisor).ended)
      assert.strictEqual(ended.message, 'task "gateway /etcdserverpb.Watch/Watch" ended: broken')
    }).pipe(
      Effect.provide(
        worldOf({
          stream: () => ({
            message: () => {
              throw new Error("broken")
            },
            drained: () => {},
            ended: () => {},
            closed: () => {}
          })
        })
      )
    )
  )
})
