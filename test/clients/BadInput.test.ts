/**
 * Whatever comes in on any port: a clear error, the node lives on and answers others, memory stays bounded. Not for
 * `NETSY_TEST_TARGET=etcd`: Debian's etcd 3.4 panics on a length of 2^63.
 */
import { connect, type Socket } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import {
  decodeDeleteRangeResponse,
  decodeRangeResponse,
  encodeDeleteRangeRequest,
  encodePutRequest,
  encodeRangeRequest
} from "../../src/core/wire/codec/kv.ts"
import { decodeWatchResponse, encodeWatchRequest } from "../../src/core/wire/codec/watch.ts"
import { emptyBytes } from "../../src/core/log/record.ts"
import { Code } from "../../src/core/wire/errors.ts"
import type { PutRequest, RangeRequest } from "../../src/core/wire/messages.ts"
import { type Daemon, startDaemon } from "../support/daemon.ts"
import { RawClient } from "../support/grpc.ts"
import { rangeOf } from "../support/requests.ts"

const mebibyte = 1024 * 1024

const put = (request: Partial<PutRequest>): Uint8Array =>
  encodePutRequest({
    key: emptyBytes,
    value: emptyBytes,
    lease: 0n,
    prevKv: false,
    ignoreValue: false,
    ignoreLease: false,
    ...request
  })

const range = (request: Partial<RangeRequest>): Uint8Array => encodeRangeRequest(rangeOf(emptyBytes, request))

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Bytes that no protobuf message can be, each broken in another way. */
const malformed: ReadonlyArray<readonly [string, ReadonlyArray<number>]> = [
  ["a length beyond the end", [0x0a, 0x7f, 0x01]],
  ["a length of 2^63", [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
  ["a cut varint", [0x18, 0xff]],
  ["a varint of eleven bytes", [0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]],
  ["field number zero", [0x00, 0x01]],
  ["wire type seven", [0x0f]],
  ["an end of a group that never began", [0x0c]],
  ["a group without an end", [0x0b, 0x08, 0x01]],
  ["a cut fixed64", [0x09, 0x01, 0x02]]
]

const methods = [
  "KV/Range",
  "KV/Put",
  "KV/DeleteRange",
  "KV/Txn",
  "KV/Compact",
  "Cluster/MemberList",
  "Maintenance/Status",
  "Maintenance/Alarm"
]

/** The same pseudo-random bytes at every run. */
const noise = (length: number, seed: number): Buffer => {
  const out = Buffer.alloc(length)
  let state = seed >>> 0
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    out[i] = state >>> 24
  }
  return out
}

const http2Preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
const settingsFrame = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])

/** What is thrown at every port. */
const garbage: ReadonlyArray<readonly [string, Buffer]> = [
  ["nothing at all", Buffer.alloc(0)],
  ["one zero byte", Buffer.alloc(1)],
  ["random bytes", noise(64 * 1024, 1)],
  ["a megabyte without a line end", Buffer.alloc(mebibyte, "A")],
  ["half a TLS hello", Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03])],
  ["a TLS record of random bytes", Buffer.concat([Buffer.from([0x16, 0x03, 0x01, 0x40, 0x00]), noise(0x4000, 2)])],
  ["half an HTTP/2 preface", http2Preface.subarray(0, 10)],
  ["an HTTP/2 preface and random frames", Buffer.concat([http2Preface, settingsFrame, noise(32 * 1024, 3)])],
  [
    "a frame of 16 MiB announced",
    Buffer.concat([http2Preface, settingsFrame, Buffer.from([0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1])])
  ],
  [
    "headers that are no HPACK",
    Buffer.concat([http2Preface, settingsFrame, Buffer.from([0, 0, 4, 1, 4, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff])])
  ],
  ["HTTP/1 with a broken request line", Buffer.from("GET\r\n\r\n")],
  ["HTTP/1 with a thousand headers", Buffer.from(`GET / HTTP/1.1\r\n${"X-Filler: 1234567890\r\n".repeat(1000)}\r\n`)],
  [
    "HTTP/1 with a bad content length",
    Buffer.from("POST /v3/kv/put HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n{}")
  ],
  ["another protocol", Buffer.from("EHLO example.org\r\n")]
]

/** Sends bytes, waits a moment for an answer, closes. */
const throwAt = (port: number, data: Buffer): Promise<void> =>
  new Promise((resolve) => {
    const socket: Socket = connect(port, "127.0.0.1")
    const done = (): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve()
    }
    const timer = setTimeout(done, 150)
    socket.on("connect", () => socket.write(data))
    socket.on("error", done)
    socket.on("close", done)
    socket.on("data", () => {})
  })

describe.each([
  ["plain text", false],
  ["TLS", true]
])("bad input over %s", (_, tls) => {
  let daemon: Daemon
  let client: RawClient

  beforeAll(async () => {
    daemon = await startDaemon({ tls })
    client = new RawClient(daemon)
  })
  afterAll(async () => {
    client?.close()
    await daemon?.release()
  })

  let written = 0
  /** The node answers a write and a read, soon. */
  const assertAlive = async (): Promise<void> => {
    const value = bytes(`${++written}`)
    const answer = await client.unary("/etcdserverpb.KV/Put", put({ key: bytes("alive"), value }), 10_000)
    assert.strictEqual(answer.code, Code.Ok, answer.details)
    const got = await client.unary("/etcdserverpb.KV/Range", range({ key: bytes("alive") }), 10_000)
    assert.deepStrictEqual(
      decodeRangeResponse(got.body).kvs.map((kv) => Buffer.from(kv.value).toString()),
      [`${written}`]
    )
    assert.isTrue(daemon.isRunning())
  }

  it("refuses malformed messages with a status that says so", async () => {
    for (const method of methods) {
      for (const [what, body] of malformed) {
        const { code, details } = await client.unary(`/etcdserverpb.${method}`, Uint8Array.from(body))
        assert.strictEqual(code, Code.InvalidArgument, `${method}, ${what}: ${details}`)
        assert.isAbove(details.length, 10, `${method}, ${what}`)
      }
    }
    await assertAlive()
  })

  it("survives a thousand messages of random bytes", async () => {
    for (let start = 0; start < 1000; start += 100) {
      const answers = await Promise.all(
        Array.from({ length: 100 }, (_, i) =>
          client.unary(
            `/etcdserverpb.${methods[i % methods.length]}`,
            noise(1 + (((start + i) * 7) % 300), start + i + 1)
          )
        )
      )
      for (const { code, details } of answers) {
        assert.notInclude([Code.Unavailable, Code.DeadlineExceeded, Code.Unknown], code, details)
      }
    }
    await assertAlive()
  })

  it("ends a watch stream that sends malformed bytes, and only that one", async () => {
    const good = client.bidi("/etcdserverpb.Watch/Watch")
    const seen: Array<string> = []
    good.on("data", (message: Buffer) => {
      for (const event of decodeWatchResponse(message).events) seen.push(Buffer.from(event.kv.value).toString())
    })
    const created = new Promise((resolve) => good.once("data", resolve))
    good.write(
      encodeWatchRequest({
        kind: "create",
        create: {
          key: bytes("alive"),
          rangeEnd: emptyBytes,
          startRevision: 0,
          progressNotify: false,
          filters: [],
          prevKv: false,
          watchId: 0n,
          fragment: false
        }
      })
    )
    await created
    const bad = client.bidi("/etcdserverpb.Watch/Watch")
    const status = new Promise<{ code: number; details: string }>((resolve) => bad.on("status", resolve))
    bad.on("data", () => {})
    bad.write(Uint8Array.of(0x0a, 0x7f))
    const { code, details } = await status
    assert.strictEqual(code, Code.InvalidArgument, details)
    await assertAlive()
    for (const deadline = Date.now() + 5000; seen.length === 0 && Date.now() < deadline;) await sleep(20)
    assert.deepStrictEqual(seen, [`${written}`])
    good.cancel()
  })

  it("answers unknown methods and services with Unimplemented", async () => {
    for (const path of ["/etcdserverpb.KV/Nope", "/no.such.Service/Method", "/etcdserverpb.KV/", "/x"]) {
      const { code, details } = await client.unary(path, emptyBytes)
      assert.strictEqual(code, Code.Unimplemented, `${path}: ${details}`)
    }
    await assertAlive()
  })

  it("refuses requests above the limit, big and very big, with bounded memory", { timeout: 60_000 }, async () => {
    await assertAlive()
    const before = daemon.memoryBytes()
    const big = await client.unary(
      "/etcdserverpb.KV/Put",
      put({ key: bytes("big"), value: Buffer.alloc(1.7 * mebibyte) })
    )
    assert.strictEqual(big.code, Code.InvalidArgument)
    assert.strictEqual(big.details, "etcdserver: request is too large")
    const body = put({ key: bytes("big"), value: Buffer.alloc(5 * mebibyte) })
    let most = 0
    for (let round = 0; round < 5; round++) {
      const answers = await Promise.all(Array.from({ length: 8 }, () => client.unary("/etcdserverpb.KV/Put", body)))
      most = Math.max(most, daemon.memoryBytes())
      for (const { code, details } of answers) {
        assert.strictEqual(code, Code.ResourceExhausted, details)
        assert.match(details, /larger than max/)
      }
    }
    assert.isBelow(most - before, 200 * mebibyte)
    const got = await client.unary("/etcdserverpb.KV/Range", range({ key: bytes("big") }))
    assert.strictEqual(decodeRangeResponse(got.body).count, 0)
    await assertAlive()
  })

  it("refuses empty keys and takes keys of 10 KiB", async () => {
    const refused = [
      await client.unary("/etcdserverpb.KV/Put", put({ value: bytes("v") })),
      await client.unary("/etcdserverpb.KV/Range", range({})),
      await client.unary(
        "/etcdserverpb.KV/DeleteRange",
        encodeDeleteRangeRequest({ key: emptyBytes, rangeEnd: emptyBytes, prevKv: false })
      )
    ]
    for (const { code, details } of refused) {
      assert.deepStrictEqual([code, details], [Code.InvalidArgument, "etcdserver: key is not provided"])
    }
    const key = noise(10 * 1024, 9)
    assert.strictEqual((await client.unary("/etcdserverpb.KV/Put", put({ key, value: bytes("long") }))).code, Code.Ok)
    const got = decodeRangeResponse((await client.unary("/etcdserverpb.KV/Range", range({ key }))).body)
    assert.isTrue(key.equals(got.kvs[0]!.key))
    const gone = await client.unary(
      "/etcdserverpb.KV/DeleteRange",
      encodeDeleteRangeRequest({ key, rangeEnd: emptyBytes, prevKv: false })
    )
    assert.strictEqual(decodeDeleteRangeResponse(gone.body).deleted, 1)
  })

  it("lives on whatever is thrown at its ports", { timeout: 60_000 }, async () => {
    for (const port of Object.values(daemon.ports)) {
      for (const [, data] of garbage) await throwAt(port, data)
      await assertAlive()
    }
    const health = await fetch(`http://127.0.0.1:${daemon.ports.health}/readyz`)
    assert.strictEqual(health.status, 200)
  })

  it("serves others while 300 connections say nothing, with bounded memory", { timeout: 60_000 }, async () => {
    const before = daemon.memoryBytes()
    const ports = Object.values(daemon.ports)
    const idle = await Promise.all(
      Array.from(
        { length: 300 },
        (_, i) =>
          new Promise<Socket>((resolve, reject) => {
            const socket = connect(ports[i % ports.length]!, "127.0.0.1")
            socket.on("connect", () => {
              if (i % 2 === 0) socket.write(garbage[i % garbage.length]![1].subarray(0, 20))
              resolve(socket)
            })
            // Being refused or cut off is as good.
            socket.on("error", () => resolve(socket))
            socket.setTimeout(20_000, () => reject(new Error("no connection after 20 s")))
          })
      )
    )
    await assertAlive()
    assert.isBelow(daemon.memoryBytes() - before, 100 * mebibyte)
    for (const socket of idle) socket.destroy()
    await assertAlive()
  })

  it(
    "a watcher that never reads costs little memory and holds up nobody; when it reads, it gets everything",
    { timeout: 120_000 },
    async () => {
      const slow = client.bidi("/etcdserverpb.Watch/Watch")
      const create = {
        key: bytes("flood"),
        rangeEnd: emptyBytes,
        startRevision: 0,
        progressNotify: false,
        filters: [],
        prevKv: true,
        watchId: 0n,
        fragment: false
      }
      const created = new Promise((resolve) => slow.once("data", resolve))
      slow.write(encodeWatchRequest({ kind: "create", create }))
      await created
      slow.pause()
      const value = (i: number): Uint8Array => Buffer.alloc(mebibyte / 2, `${i} `)
      const flood = 200
      const before = daemon.memoryBytes()
      for (let i = 0; i < flood; i++) {
        const { code, details } = await client.unary(
          "/etcdserverpb.KV/Put",
          put({ key: bytes("flood"), value: value(i) })
        )
        assert.strictEqual(code, Code.Ok, details)
      }
      const grown = daemon.memoryBytes() - before
      // The events alone, with what they replaced, are 200 MiB.
      assert.isBelow(grown, 150 * mebibyte, `grew by ${Math.round(grown / mebibyte)} MiB`)
      const seen: Array<string> = []
      const all = new Promise<void>((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`only ${seen.length} events`)), 60_000)
        slow.on("data", (message: Buffer) => {
          for (const { kv, prevKv } of decodeWatchResponse(message).events) {
            seen.push(
              `${Buffer.from(kv.value.subarray(0, 8)).toString().split(" ")[0]} ${prevKv === undefined ? "created" : "changed"}`
            )
          }
          if (seen.length < flood) return
          clearTimeout(late)
          resolve()
        })
      })
      slow.resume()
      await all
      assert.deepStrictEqual(
        seen,
        Array.from({ length: flood }, (_, i) => `${i} ${i === 0 ? "created" : "changed"}`)
      )
      slow.cancel()
      await assertAlive()
    }
  )

  it("has printed no stack trace", () => {
    assert.notMatch(daemon.logs(), /\n\s+at |InvariantViolation|unhandled/i)
  })
})
