/** What only the S3 store promises: what it sends, what it retries, how it sorts errors. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, type Scope, Stream } from "effect"
import type { RequestKind } from "../../src/layers/objectstore/calls.ts"
import { classify } from "../../src/layers/objectstore/s3Errors.ts"
import * as ObjectStoreS3 from "../../src/layers/ObjectStoreS3.ts"
import type { StorageSettings } from "../../src/services/Settings.ts"
import { devS3, openStore, s3Store, withStorage } from "./support.ts"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage["headers"]
}

/** A bare HTTP server that records requests and answers as told. */
const recorder = (answer: (request: IncomingMessage, response: ServerResponse, nth: number) => void) =>
  Effect.gen(function* () {
    const seen: Array<Seen> = []
    const server = createServer((request, response) => {
      seen.push({ method: request.method!, url: request.url!, headers: request.headers })
      request.resume()
      request.once("end", () => answer(request, response, seen.length))
    })
    yield* Effect.acquireRelease(
      Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
      () =>
        Effect.sync(() => {
          server.closeAllConnections()
          server.close()
        })
    )
    return { seen, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
  })

const storeAt = (
  url: string,
  part: Partial<StorageSettings> = {},
  overrides: Partial<ObjectStoreS3.S3Overrides> = {}
) =>
  openStore(
    ObjectStoreS3.layer({
      ...overrides,
      endpoint: url,
      region: "us-east-1",
      pathStyle: true,
      credentials: { accessKeyId: "test", secretAccessKey: "test" }
    }).pipe(Layer.provide(withStorage(part)))
  )

const ok = (_: IncomingMessage, response: ServerResponse): void => {
  response.writeHead(200, { etag: '"abc"' }).end()
}

const test = <E>(sentence: string, body: () => Effect.Effect<void, E, Scope.Scope>): void => {
  it.live(sentence, () => Effect.suspend(body))
}

describe("ObjectStoreS3", () => {
  test("a put carries key prefix, storage class and encryption, and neither content type nor metadata", () =>
    Effect.gen(function* () {
      const { seen, url } = yield* recorder(ok)
      const plain = yield* storeAt(url, { keyPrefix: "pre/", class: "STANDARD_IA" })
      yield* plain.put("a b", bytes("x"), { ifMatch: "e" })
      const kms = yield* storeAt(url, { encryption: "customer-managed", kmsKeyId: "arn:key" })
      yield* kms.put("k", bytes("x"), { ifAbsent: true })
      const [first, second] = seen
      assert.strictEqual(first!.url, "/bucket/pre/a%20b?x-id=PutObject")
      assert.strictEqual(first!.headers["x-amz-storage-class"], "STANDARD_IA")
      assert.strictEqual(first!.headers["x-amz-server-side-encryption"], "AES256")
      assert.strictEqual(first!.headers["if-match"], '"e"')
      assert.strictEqual(first!.headers["content-length"], "1")
      assert.isUndefined(first!.headers["x-amz-server-side-encryption-aws-kms-key-id"])
      assert.strictEqual(second!.headers["x-amz-server-side-encryption"], "aws:kms")
      assert.strictEqual(second!.headers["x-amz-server-side-encryption-aws-kms-key-id"], "arn:key")
      assert.strictEqual(second!.headers["if-none-match"], "*")
      assert.isDefined(second!.headers["x-amz-checksum-crc32"])
      for (const { headers } of seen) {
        assert.notInclude(Object.keys(headers).join(), "x-amz-meta")
        // The SDK itself says octet-stream for bytes; nothing is claimed about the contents.
        assert.include([undefined, "application/octet-stream"], headers["content-type"])
      }
    }))

  test("a conditional put is sent once, whatever the answer; other requests are repeated", () =>
    Effect.gen(function* () {
      const { seen, url } = yield* recorder((_, response) => response.writeHead(503).end())
      const store = yield* storeAt(url)
      for (const condition of [{ ifAbsent: true as const }, { ifMatch: "e" }]) {
        seen.length = 0
        assert.strictEqual((yield* Effect.flip(store.put("k", bytes("x"), condition)))._tag, "Unavailable")
        assert.strictEqual(seen.length, 1)
        const body = { size: 1, open: () => Stream.make(bytes("x")) }
        assert.strictEqual((yield* Effect.flip(store.putStream("k", body, condition)))._tag, "Unavailable")
        assert.strictEqual(seen.length, 2)
      }
      seen.length = 0
      assert.strictEqual((yield* Effect.flip(store.put("k", bytes("x"))))._tag, "Unavailable")
      assert.strictEqual(seen.length, 3)
      seen.length = 0
      assert.strictEqual((yield* Effect.flip(store.get("k")))._tag, "Unavailable")
      assert.strictEqual(seen.length, 3)
    }))

  test("an unconditional put and a stream succeed when a repetition does", () =>
    Effect.gen(function* () {
      const { url } = yield* recorder((request, response, nth) =>
        nth % 2 === 1 ? response.writeHead(500).end() : ok(request, response)
      )
      const store = yield* storeAt(url)
      assert.strictEqual((yield* store.put("k", bytes("x"))).etag, "abc")
      const body = { size: 1, open: () => Stream.make(bytes("x")) }
      assert.strictEqual((yield* store.putStream("k", body)).etag, "abc")
    }))

  test("a connection that is cut or refused is Unavailable, and says so", () =>
    Effect.gen(function* () {
      const { url } = yield* recorder((_, response) => response.destroy())
      const store = yield* storeAt(url)
      const cut = yield* Effect.flip(store.put("k", bytes("x"), { ifAbsent: true }))
      assert.strictEqual(cut._tag, "Unavailable")
      assert.match(cut.message, /^put k: .*(socket hang up|ECONNRESET)/)
      const nobody = yield* storeAt("http://127.0.0.1:1")
      const refused = yield* Effect.flip(nobody.get("k"))
      assert.strictEqual(refused._tag, "Unavailable")
      assert.include(refused.message, "ECONNREFUSED")
    }))

  test("a get whose body breaks off is asked for again", () =>
    Effect.gen(function* () {
      const { seen, url } = yield* recorder((_, response, nth) => {
        response.writeHead(200, { etag: '"e"', "content-length": "10" })
        if (nth === 1) response.write("01234", () => response.destroy())
        else response.end("0123456789")
      })
      const store = yield* storeAt(url)
      assert.strictEqual(new TextDecoder().decode((yield* store.get("k")).body), "0123456789")
      assert.strictEqual(seen.length, 2)
    }))

  test("a stream whose body breaks off fails as Unavailable", () =>
    Effect.gen(function* () {
      const { url } = yield* recorder((_, response) => {
        response.writeHead(200, { etag: '"e"', "content-length": "10" })
        response.write("01234", () => response.destroy())
      })
      const store = yield* storeAt(url)
      const { body } = yield* store.getStream("k")
      assert.strictEqual((yield* Effect.flip(Stream.runDrain(body)))._tag, "Unavailable")
    }))

  test("an answer that never comes ends in Unavailable after the time limit, and interruption ends the wait at once", () =>
    Effect.gen(function* () {
      const { url } = yield* recorder(() => {})
      const store = yield* storeAt(url, {}, { requestTimeoutMillis: 500 })
      const fiber = yield* Effect.forkChild(store.get("k"), { startImmediately: true })
      const error = yield* Effect.flip(store.put("k", bytes("x"), { ifAbsent: true }))
      assert.strictEqual(error._tag, "Unavailable")
      assert.match(error.message, /^put k: (no answer within 5\d\d ms|.*requestTimeout)/)
      const before = performance.now()
      yield* Fiber.interrupt(fiber)
      assert.isBelow(performance.now() - before, 1000)
    }))

  test("a missing bucket and missing permission are Denied and name status and code", () =>
    Effect.gen(function* () {
      const server = yield* devS3()
      const elsewhere = yield* openStore(s3Store(server, { bucketName: "missing" }))
      for (const effect of [elsewhere.get("k"), elsewhere.put("k", bytes("x")), elsewhere.list({ prefix: "" })]) {
        const error = yield* Effect.flip(
          effect as Effect.Effect<unknown, { readonly _tag: string; readonly message: string }>
        )
        assert.strictEqual(error._tag, "Denied")
        assert.include(error.message, "HTTP 404 NoSuchBucket")
      }
      const store = yield* openStore(s3Store(server))
      server.faults.deny = ["s3:PutObject", "s3:ListBucket"]
      const put = yield* Effect.flip(store.put("k", bytes("x"), { ifAbsent: true }))
      assert.strictEqual(put._tag, "Denied")
      assert.include(put.message, "put k: HTTP 403 AccessDenied")
      assert.strictEqual((yield* Effect.flip(store.list({ prefix: "a/" })))._tag, "Denied")
    }))

  test("a lost answer is Unavailable, and the repetition finds out that it had landed", () =>
    Effect.gen(function* () {
      const server = yield* devS3()
      const store = yield* openStore(s3Store(server))
      server.faults.loseAnswer = { put: 1 }
      assert.strictEqual((yield* Effect.flip(store.put("k", bytes("x"), { ifAbsent: true })))._tag, "Unavailable")
      server.faults.loseAnswer = {}
      assert.strictEqual(
        (yield* Effect.flip(store.put("k", bytes("x"), { ifAbsent: true })))._tag,
        "PreconditionFailed"
      )
    }))

  test("keys outside of the prefix are invisible, and the prefix is stripped from what is listed and deleted", () =>
    Effect.gen(function* () {
      const server = yield* devS3()
      const whole = yield* openStore(s3Store(server))
      const part = yield* openStore(s3Store(server, { keyPrefix: "part/" }))
      yield* whole.put("other", bytes("x"))
      yield* part.put("mine", bytes("x"))
      assert.deepStrictEqual(
        (yield* part.list({ prefix: "" })).objects.map(({ key }) => key),
        ["mine"]
      )
      assert.deepStrictEqual(
        (yield* whole.list({ prefix: "" })).objects.map(({ key }) => key),
        ["other", "part/mine"]
      )
      yield* part.copy("mine", "copy")
      assert.deepStrictEqual(yield* part.deleteMany(["mine", "other"]), [])
      assert.deepStrictEqual(
        (yield* whole.list({ prefix: "" })).objects.map(({ key }) => key),
        ["other", "part/copy"]
      )
    }))

  test("a body beyond what one PUT may hold is refused before anything is sent", () =>
    Effect.gen(function* () {
      const { seen, url } = yield* recorder(ok)
      const store = yield* storeAt(url)
      const huge = { size: 5 * 2 ** 30 + 1, open: () => Stream.empty }
      assert.strictEqual((yield* Effect.flip(store.putStream("k", huge)))._tag, "Denied")
      assert.strictEqual(seen.length, 0)
    }))
})

describe("classify", () => {
  const answer = (status: number, name: string) => ({ name, message: "m", $metadata: { httpStatusCode: status } })
  const table: ReadonlyArray<readonly [RequestKind, unknown, string]> = [
    ["read", answer(404, "NoSuchKey"), "NotFound"],
    ["read", answer(404, "NotFound"), "NotFound"],
    ["read", answer(404, "NoSuchBucket"), "Denied"],
    ["write", answer(404, "NoSuchBucket"), "Denied"],
    ["ifMatch", answer(404, "NoSuchKey"), "PreconditionFailed"],
    ["ifMatch", answer(404, "NoSuchBucket"), "Denied"],
    ["write", answer(412, "PreconditionFailed"), "PreconditionFailed"],
    ["ifMatch", answer(412, "PreconditionFailed"), "PreconditionFailed"],
    ["read", answer(412, "PreconditionFailed"), "Denied"],
    ["write", answer(409, "ConditionalRequestConflict"), "Conflict"],
    ["list", answer(409, "OperationAborted"), "Unavailable"],
    ["read", answer(403, "AccessDenied"), "Denied"],
    ["read", answer(403, "RequestTimeTooSkewed"), "Unavailable"],
    ["write", answer(400, "RequestTimeout"), "Unavailable"],
    ["write", answer(400, "InvalidRequest"), "Denied"],
    ["read", answer(301, "PermanentRedirect"), "Denied"],
    ["read", answer(416, "InvalidRange"), "Denied"],
    ["read", answer(408, "RequestTimeout"), "Unavailable"],
    ["write", answer(429, "TooManyRequests"), "Unavailable"],
    ["write", answer(500, "InternalError"), "Unavailable"],
    ["write", answer(503, "SlowDown"), "Unavailable"],
    ["write", answer(200, "SyntaxError"), "Unavailable"],
    ["write", Object.assign(new Error("reset"), { code: "ECONNRESET" }), "Unavailable"],
    ["write", Object.assign(new Error("slow"), { name: "TimeoutError" }), "Unavailable"],
    ["write", Object.assign(new Error("none"), { name: "CredentialsProviderError" }), "Denied"],
    ["write", "not even an error", "Unavailable"]
  ]
  it("sorts every kind of failure by what the caller can do", () => {
    for (const [kind, thrown, tag] of table) {
      const error = classify(kind, "op", "some/key", thrown)
      assert.strictEqual(error._tag, tag, `${kind} ${JSON.stringify(thrown)}`)
      assert.match(error.message, /^op some\/key: /)
    }
    assert.strictEqual(classify("read", "get", "k", answer(503, "SlowDown")).message, "get k: HTTP 503 SlowDown: m")
    const reset = Object.assign(new Error("socket"), { code: "ECONNRESET" })
    assert.strictEqual(classify("read", "get", "k", reset).message, "get k: ECONNRESET: socket")
  })
})
