/** The first header block of a connection: what Node's HTTP/2 client sends is the reference for the coding. */
import { connect as connectHttp2, type OutgoingHttpHeaders } from "node:http2"
import { type AddressInfo, createServer } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { withoutScheme } from "../../src/core/http2/hpackAuthority.ts"
import { Opening } from "../../src/core/http2/opening.ts"
import { random } from "../wire/random.ts"

/** Everything that a client sends until its first request is there. */
const openingOf = (headers: OutgoingHttpHeaders) =>
  Effect.callback<Buffer>((resume) => {
    const server = createServer((socket) => {
      const parts: Array<Buffer> = []
      socket.on("error", () => {})
      socket.on("data", (data) => {
        parts.push(data)
        const all = Buffer.concat(parts)
        if (blockOf(all) === undefined) return
        socket.destroy()
        server.close()
        resume(Effect.succeed(all))
      })
    })
    server.listen(0, "127.0.0.1", () => {
      const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
      session.on("error", () => {})
      session.request({ ":path": "/a.B/C", ":method": "POST", ...headers }).on("error", () => {})
    })
  })

const blockOf = (bytes: Buffer): Buffer | undefined => {
  for (let at = 24; at + 9 <= bytes.length;) {
    const length = bytes.readUIntBE(at, 3)
    if (at + 9 + length > bytes.length) return undefined
    if (bytes[at + 3] === 1) return bytes.subarray(at + 9 + ((bytes[at + 4]! & 32) === 0 ? 0 : 5), at + 9 + length)
    at += 9 + length
  }
  return undefined
}

const authorities = [
  "127.0.0.1:2379",
  "localhost:1",
  "[::1]:23790",
  "etcd-0.etcd.kube-system.svc:2379",
  "XYZ-_.example:80"
]

const ack = Uint8Array.of(0, 0, 0, 4, 1, 0, 0, 0, 0)

describe("the first header block", () => {
  it.live("loses the scheme in :authority, and nothing else", () =>
    Effect.gen(function* () {
      for (const authority of authorities) {
        for (const scheme of ["http://", "https://"]) {
          const block = blockOf(yield* openingOf({ ":authority": scheme + authority, "x-more": "after" }))!
          const bare = withoutScheme(block)
          assert.ok(bare !== undefined, scheme + authority)
          assert.include(Buffer.from(bare).toString("latin1"), authority)
          assert.strictEqual(withoutScheme(bare), undefined)
          // What came behind it is still there, as it was coded.
          const tail = block.subarray(-8)
          assert.deepStrictEqual(Buffer.from(bare.subarray(-8)), Buffer.from(tail))
        }
        const good = blockOf(yield* openingOf({ ":authority": authority }))!
        assert.strictEqual(withoutScheme(good), undefined, authority)
      }
    })
  )

  it("never ends badly, whatever the bytes are", () => {
    for (let seed = 1; seed <= 20_000; seed++) {
      const source = random(seed)
      withoutScheme(source.bytes(source.int(60)))
    }
  })
})

describe("the opening of a connection", () => {
  it.live("is given on as it came when the headers come at once, cut wherever", () =>
    Effect.gen(function* () {
      const bytes = yield* openingOf({ ":authority": "a:1" })
      for (let cut = 1; cut < bytes.length; cut += 7) {
        const opening = new Opening()
        opening.push(bytes.subarray(0, cut))
        opening.push(bytes.subarray(cut))
        assert.isTrue(opening.done)
        assert.deepStrictEqual(Buffer.from(opening.take()), bytes)
      }
    })
  )

  it.live("without headers asks for settings to be sent, and takes their acknowledgement out again", () =>
    Effect.gen(function* () {
      const bytes = yield* openingOf({ ":authority": "a:1" })
      const opening = new Opening()
      opening.push(bytes.subarray(0, 24 + 9 + bytes.readUIntBE(24, 3)))
      assert.isTrue(opening.needsSettings)
      opening.settingsSent()
      assert.isFalse(opening.needsSettings)
      assert.isFalse(opening.done)
      opening.push(bytes.subarray(24 + 9 + bytes.readUIntBE(24, 3)))
      // The headers are there, our acknowledgement is not.
      assert.isFalse(opening.done)
      opening.push(ack)
      assert.isTrue(opening.done)
      assert.deepStrictEqual(Buffer.from(opening.take()), bytes)
    })
  )

  it.live("of a client that asks for nothing goes on once it has acknowledged", () =>
    Effect.gen(function* () {
      const bytes = yield* openingOf({ ":authority": "a:1" })
      const head = bytes.subarray(0, 24 + 9 + bytes.readUIntBE(24, 3))
      const opening = new Opening()
      opening.push(head)
      opening.settingsSent()
      opening.giveUp()
      assert.isFalse(opening.done)
      opening.push(ack)
      assert.isTrue(opening.done)
      assert.deepStrictEqual(Buffer.from(opening.take()), head)
    })
  )
})
