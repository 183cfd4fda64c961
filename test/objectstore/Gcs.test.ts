/** What only the GCS store promises: what it sends, what it repeats, how it paces writes and sorts errors. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, type Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { RequestKind } from "../../src/layers/objectstore/calls.ts"
import { classify, noToken, Refused, refused } from "../../src/layers/objectstore/gcsErrors.ts"
import { Pacing } from "../../src/layers/objectstore/gcsPacing.ts"
import type { GcsOverrides } from "../../src/layers/ObjectStoreGcs.ts"
import type { StreamedBody } from "../../src/services/ObjectStore.ts"
import type { StorageSettings } from "../../src/services/Settings.ts"
import type { EmulatorOptions, Fault, GcsEmulator } from "./gcsEmulator.ts"
import { gcsEmulator, gcsStore, openStore } from "./support.ts"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (body: Uint8Array): string => new TextDecoder().decode(body)
const one = bytes("x")
const streamed = (body: Uint8Array): StreamedBody => ({ size: body.length, open: () => Stream.make(body) })

const open = (server: GcsEmulator, part: Partial<StorageSettings> = {}, overrides: GcsOverrides = {}) =>
  openStore(gcsStore(server, part, { writeIntervalMillis: 0, ...overrides }))

const started = (options: EmulatorOptions = {}) =>
  Effect.gen(function* () {
    const server = yield* gcsEmulator(options)
    return { server, store: yield* open(server) }
  })

const sent = (server: GcsEmulator, operation: string): number =>
  server.seen.filter((request) => request.operation === operation).length

const always =
  (fault: Fault): GcsEmulator["fault"] =>
  () =>
    fault
/** Only the first request of its operation. */
const first =
  (fault: Fault): GcsEmulator["fault"] =>
  (_, before) =>
    before === 0 ? fault : undefined

const test = <E>(sentence: string, body: () => Effect.Effect<void, E, Scope.Scope>): void => {
  it.live(sentence, () => Effect.suspend(body), 60_000)
}

const conditions = [{ ifAbsent: true as const }, { ifMatch: "1234" }]

describe("ObjectStoreGcs", () => {
  test("a put carries key prefix, condition, checksum, storage class and key, and no more", () =>
    Effect.gen(function* () {
      const server = yield* gcsEmulator()
      const kmsKeyId = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
      const store = yield* open(server, {
        keyPrefix: "pre/",
        class: "NEARLINE",
        encryption: "customer-managed",
        kmsKeyId
      })
      const { etag } = yield* store.put("a b/ü", bytes("hello"), { ifAbsent: true })
      yield* store.put("a b/ü", bytes("again"), { ifMatch: etag })
      yield* store.copy("a b/ü", "copy")
      const [create, replace, copy] = server.seen
      assert.strictEqual(create!.url.pathname, "/upload/storage/v1/b/bucket/o")
      assert.deepStrictEqual(
        [...create!.url.searchParams].filter(([name]) => name !== "fields"),
        [
          ["uploadType", "multipart"],
          ["name", "pre/a b/ü"],
          ["ifGenerationMatch", "0"],
          ["kmsKeyName", kmsKeyId]
        ]
      )
      assert.strictEqual(replace!.url.searchParams.get("ifGenerationMatch"), etag)
      assert.strictEqual(copy!.url.searchParams.get("destinationKmsKeyName"), kmsKeyId)
      assert.isDefined(create!.headers["content-length"])
      assert.isUndefined(create!.headers["authorization"])
      for (const name of ["pre/a b/ü", "pre/copy"]) {
        const object = server.objects.get(name)!
        assert.strictEqual(object.storageClass, "NEARLINE")
        assert.strictEqual(object.kmsKeyName, `${kmsKeyId}/cryptoKeyVersions/1`)
      }
      const plain = yield* open(server)
      yield* plain.put("plain", one)
      const { searchParams } = server.seen.at(-1)!.url
      assert.isFalse(searchParams.has("kmsKeyName") || searchParams.has("ifGenerationMatch"))
    }))

  test("the ETag is the generation, and what is no generation matches nothing and is not even sent", () =>
    Effect.gen(function* () {
      const { server, store } = yield* started()
      const { etag } = yield* store.put("k", one)
      assert.strictEqual(etag, server.objects.get("k")!.generation)
      const before = sent(server, "put")
      // 0 would mean "must not exist" there.
      for (const ifMatch of ["0", "", "abc", "-1", "1e3", `${etag}0000`]) {
        for (const key of ["k", "missing"]) {
          const error = yield* Effect.flip(store.put(key, bytes("y"), { ifMatch }))
          assert.strictEqual(error._tag, "PreconditionFailed", `${key} ${ifMatch}`)
        }
      }
      assert.strictEqual(sent(server, "put"), before)
      assert.strictEqual(text((yield* store.get("k")).body), "x")
    }))

  test("a conditional put is sent once, whatever the answer; other requests are repeated", () =>
    Effect.gen(function* () {
      const { server, store } = yield* started()
      for (const fault of [{ status: 503 }, { status: 429, reason: "rateLimitExceeded" }, "reset"] as const) {
        server.fault = always(fault)
        for (const condition of conditions) {
          server.seen.length = 0
          assert.strictEqual((yield* Effect.flip(store.put("k", one, condition)))._tag, "Unavailable")
          assert.strictEqual(sent(server, "put"), 1)
          assert.strictEqual((yield* Effect.flip(store.putStream("k", streamed(one), condition)))._tag, "Unavailable")
          assert.strictEqual(sent(server, "put"), 2)
        }
      }
      server.seen.length = 0
      const repeated = [
        ["put", store.put("k", one)],
        ["get", store.get("k")],
        ["head", store.head("k")],
        ["list", store.list({ prefix: "" })],
        ["delete", store.delete("k")],
        ["copy", store.copy("k", "l")]
      ] as const
      yield* Effect.forEach(
        repeated,
        ([operation, request]) =>
          Effect.gen(function* () {
            const error = yield* Effect.flip(request as Effect.Effect<unknown, { readonly _tag: string }>)
            assert.strictEqual(error._tag, "Unavailable", operation)
            assert.strictEqual(sent(server, operation), 3, operation)
          }),
        { concurrency: "unbounded" }
      )
    }))

  test("what has no condition succeeds when a repetition does", () =>
    Effect.gen(function* () {
      const { server, store } = yield* started()
      server.fault = (_, before) => (before % 2 === 0 ? { status: 500 } : undefined)
      yield* store.put("k", one)
      yield* store.putStream("s", streamed(bytes("stream")))
      assert.strictEqual(text((yield* store.get("s")).body), "stream")
      const pieces = yield* Stream.runCollect((yield* store.getStream("k")).body)
      assert.deepStrictEqual(pieces.map(text), ["x"])
      yield* store.copy("k", "l")
      assert.strictEqual((yield* store.head("l")).size, 1)
      assert.strictEqual((yield* store.list({ prefix: "" })).objects.length, 3)
      yield* store.delete("l")
      assert.isFalse(server.objects.has("l"))
    }))

  test("a lost answer is Unavailable, and the repetition finds out that it had landed", () =>
    Effect.gen(function* () {
      const { server, store } = yield* started()
      server.fault = always("lose")
      assert.strictEqual((yield* Effect.flip(store.put("k", one, { ifAbsent: true })))._tag, "Unavailable")
      const { generation } = server.objects.get("k")!
      const replaced = yield* Effect.flip(store.put("k", bytes("y"), { ifMatch: generation }))
      assert.strictEqual(replaced._tag, "Unavailable")
      assert.match(replaced.message, /^put k: .*(socket hang up|ECONNRESET)/)
      assert.strictEqual(sent(server, "put"), 2)
      server.fault = () => undefined
      for (const condition of [{ ifAbsent: true as const }, { ifMatch: generation }]) {
        assert.strictEqual((yield* Effect.flip(store.put("k", bytes("y"), condition)))._tag, "PreconditionFailed")
      }
      const { body, etag } = yield* store.get("k")
      assert.strictEqual(text(body), "y")
      yield* store.put("k", bytes("z"), { ifMatch: etag })
    }))

  test("a delete whose answer was lost succeeds, and so does a bulk delete", () =>
    Effect.gen(function* () {
      const { server, store } = yield* started()
      for (const key of ["a", "b", "c"]) yield* store.put(key, one)
      server.fault = first("lose")
      yield* store.delete("a")
      server.fault = (request, before) => (request.name === "b" && before < 3 ? "lose" : undefined)
      assert.deepStrictEqual(yield* store.deleteMany(["b", "c"]), [])
      assert.strictEqual(server.objects.size, 0)
    }))

  test("a bulk delete names what it may not delete, and fails when the store does not answer", () =>
    Effect.gen(function* () {
      const { server, store } = yield* started()
      for (const key of ["a", "held", "z"]) yield* store.put(key, one)
      server.fault = ({ name }) => (name === "held" ? { status: 403, reason: "retentionPolicyNotMet" } : undefined)
      const failed = yield* store.deleteMany(["a", "held", "no//key", "z"])
      assert.deepStrictEqual(
        failed.map(({ key }) => key),
        ["held", "no//key"]
      )
      assert.include(failed[0]!.reason, "HTTP 403 retentionPolicyNotMet")
      assert.deepStrictEqual([...server.objects.keys()], ["held"])
      server.fault = always({ status: 503 })
      assert.strictEqual((yield* Effect.flip(store.deleteMany(["a", "b"])))._tag, "Unavailable")
    }))

  test("a body that is damaged or breaks off on its way is asked for again", () =>
    Effect.gen(function* () {
      const { server, store } = yield* started()
      yield* store.put("k", bytes("0123456789"))
      for (const fault of ["damage", "cut", "reset"] as const) {
        const before = sent(server, "get")
        server.fault = (request, n) => (request.operation === "get" && n === before ? fault : undefined)
        assert.strictEqual(text((yield* store.get("k")).body), "0123456789")
        assert.strictEqual(sent(server, "get"), before + 2)
      }
      server.fault = always("damage")
      const error = yield* Effect.flip(store.get("k"))
      assert.strictEqual(error._tag, "Unavailable")
      assert.match(error.message, /^get k: the body has CRC-32C \S+, not \S+$/)
    }))

  test("a stream that is damaged or breaks off fails at its end", () =>
    Effect.gen(function* () {
      const { server, store } = yield* started()
      yield* store.put("k", new Uint8Array(300_000).fill(7))
      for (const fault of ["damage", "cut"] as const) {
        server.fault = always(fault)
        const { body, size } = yield* store.getStream("k")
        assert.strictEqual(size, 300_000)
        assert.strictEqual((yield* Effect.flip(Stream.runDrain(body)))._tag, "Unavailable", fault)
      }
    }))

  test("bytes that are not those of the checksum never become an object", () =>
    Effect.gen(function* () {
      const { server, store } = yield* started()
      let reads = 0
      const fickle: StreamedBody = { size: 3, open: () => Stream.make(bytes(++reads % 2 === 1 ? "abc" : "abd")) }
      const error = yield* Effect.flip(store.putStream("k", fickle, { ifAbsent: true }))
      assert.strictEqual(error._tag, "Unavailable")
      assert.include(error.message, "CRC32C")
      assert.strictEqual(server.objects.size, 0)
    }))

  test("a streamed body that fails while it is sent leaves nothing, and says why", () =>
    Effect.gen(function* () {
      const { server, store } = yield* started()
      let reads = 0
      const large = new Uint8Array(400_000)
      const fails: StreamedBody = {
        size: 2 * large.length,
        open: () =>
          ++reads % 2 === 1
            ? Stream.make(large, large)
            : Stream.concat(Stream.make(large), Stream.fail(new Error("disk on fire")))
      }
      for (const condition of [undefined, ...conditions]) {
        const error = yield* Effect.flip(store.putStream("k", fails, condition))
        assert.strictEqual(error._tag, "Unavailable")
        assert.include(error.message, "disk on fire")
      }
      assert.strictEqual(server.objects.size, 0)
    }))

  test("an answer that never comes ends in Unavailable after the time limit, and interruption ends the wait at once", () =>
    Effect.gen(function* () {
      const server = yield* gcsEmulator()
      const store = yield* open(server, {}, { requestTimeoutMillis: 500 })
      server.fault = always("hang")
      const fiber = yield* Effect.forkChild(store.get("k"), { startImmediately: true })
      const error = yield* Effect.flip(store.put("k", one, { ifAbsent: true }))
      assert.strictEqual(error._tag, "Unavailable")
      assert.match(error.message, /^put k: no answer within 50\d ms$/)
      const before = performance.now()
      yield* Fiber.interrupt(fiber)
      assert.isBelow(performance.now() - before, 1000)
    }))

  test("a server that cannot be reached is Unavailable, and says so", () =>
    Effect.gen(function* () {
      const server = yield* gcsEmulator()
      const store = yield* open({ ...server, url: "http://127.0.0.1:1" })
      const error = yield* Effect.flip(store.put("k", one, { ifAbsent: true }))
      assert.strictEqual(error._tag, "Unavailable")
      assert.include(error.message, "ECONNREFUSED")
    }))

  test("a missing bucket and missing permission are Denied and name status and reason", () =>
    Effect.gen(function* () {
      const { server, store } = yield* started()
      const elsewhere = yield* open(server, { bucketName: "missing" })
      const attempts = [
        elsewhere.get("k"),
        elsewhere.put("k", one),
        elsewhere.list({ prefix: "" }),
        elsewhere.delete("k")
      ]
      for (const effect of attempts) {
        const error = yield* Effect.flip(
          effect as Effect.Effect<unknown, { readonly _tag: string; readonly message: string }>
        )
        assert.strictEqual(error._tag, "Denied")
        assert.match(error.message, /HTTP 404( notFound)?: The specified bucket does not exist\.$/)
      }
      const message = "netsy@p.iam.gserviceaccount.com does not have storage.objects.create access"
      server.fault = always({ status: 403, reason: "forbidden", message })
      server.seen.length = 0
      const put = yield* Effect.flip(store.put("k", one))
      assert.strictEqual(put._tag, "Denied")
      assert.strictEqual(put.message, `put k: HTTP 403 forbidden: ${message}`)
      assert.strictEqual((yield* Effect.flip(store.list({ prefix: "a/" })))._tag, "Denied")
      assert.strictEqual(server.seen.length, 2)
    }))

  test("keys outside of the prefix are invisible, and the prefix is stripped from what is listed and deleted", () =>
    Effect.gen(function* () {
      const { server, store: whole } = yield* started()
      const part = yield* open(server, { keyPrefix: "part/" })
      const keys = (store: typeof whole) =>
        Effect.map(store.list({ prefix: "" }), ({ objects }) => objects.map(({ key }) => key))
      yield* whole.put("other", one)
      yield* part.put("mine", one)
      assert.deepStrictEqual(yield* keys(part), ["mine"])
      assert.deepStrictEqual(yield* keys(whole), ["other", "part/mine"])
      yield* part.copy("mine", "copy")
      assert.deepStrictEqual(yield* part.deleteMany(["mine", "other"]), [])
      assert.deepStrictEqual(yield* keys(whole), ["other", "part/copy"])
    }))
})

describe("ObjectStoreGcs and one write a second of one object", () => {
  test("writes of one object are never refused for their rate, and other objects do not wait for it", () =>
    Effect.gen(function* () {
      // What is sent 1,100 ms apart arrives closer together where the machine is busy.
      const server = yield* gcsEmulator({ writeIntervalMillis: 700 })
      const store = yield* openStore(gcsStore(server))
      const before = performance.now()
      const renewals = Effect.gen(function* () {
        let { etag } = yield* store.put("arbiter", bytes("0"), { ifAbsent: true })
        for (let i = 1; i <= 2; i++) ({ etag } = yield* store.put("arbiter", bytes(String(i)), { ifMatch: etag }))
      })
      const fiber = yield* Effect.forkChild(renewals, { startImmediately: true })
      const names = Array.from({ length: 20 }, (_, i) => `chunk-${i}`)
      yield* Effect.forEach(names, (key) => store.put(key, one, { ifAbsent: true }), { concurrency: "unbounded" })
      assert.isBelow(performance.now() - before, 1000)
      yield* Fiber.join(fiber)
      assert.isAtLeast(performance.now() - before, 2000)
      assert.strictEqual(text((yield* store.get("arbiter")).body), "2")
      assert.strictEqual(sent(server, "put"), 23)
    }))

  test("another node's write makes a conditional one Unavailable and an unconditional one late", () =>
    Effect.gen(function* () {
      const server = yield* gcsEmulator({ writeIntervalMillis: 600 })
      const here = yield* open(server)
      const there = yield* open(server)
      const { etag } = yield* there.put("k", one)
      const error = yield* Effect.flip(here.put("k", bytes("y"), { ifMatch: etag }))
      assert.strictEqual(error._tag, "Unavailable")
      assert.include(error.message, "HTTP 429 rateLimitExceeded")
      yield* here.put("k", bytes("z"))
      assert.strictEqual(text((yield* there.get("k")).body), "z")
    }))

  it.effect("turns come in the order they were asked for, and who would wait too long is told so", () =>
    Effect.gen(function* () {
      const pacing = new Pacing(yield* Clock.Clock, 1000)
      const order: Array<string> = []
      const turn = (key: string, name: string) =>
        Effect.forkChild(
          Effect.map(pacing.turn("put", key), () => void order.push(name)),
          { startImmediately: true }
        )
      for (let i = 0; i < 11; i++) yield* turn("k", `k${i}`)
      yield* turn("other", "other")
      assert.deepStrictEqual(order, ["k0", "other"])
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(order.length, 2)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(order, ["k0", "other", "k1"])
      yield* turn("k", "k11")
      const error = yield* Effect.flip(pacing.turn("put", "k"))
      assert.strictEqual(
        error.message,
        "put k: this object is written too often: the next write may be sent in 11000 ms"
      )
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(order.slice(2), ["k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8", "k9", "k10", "k11"])
      yield* pacing.turn("put", "k")
    })
  )

  it.effect("who gives up waiting takes no turn", () =>
    Effect.gen(function* () {
      const pacing = new Pacing(yield* Clock.Clock, 1000)
      yield* pacing.turn("put", "k")
      for (let i = 0; i < 20; i++) {
        const fiber = yield* Effect.forkChild(pacing.turn("put", "k"), { startImmediately: true })
        yield* TestClock.adjust("10 millis")
        yield* Fiber.interrupt(fiber)
      }
      const fiber = yield* Effect.forkChild(pacing.turn("put", "k"), { startImmediately: true })
      yield* TestClock.adjust("800 millis")
      yield* Fiber.join(fiber)
    })
  )
})

describe("classify of GCS", () => {
  const answer = (status: number, reason: string, message = "m") => new Refused(status, reason, message)
  const noBucket = "The specified bucket does not exist."
  const table: ReadonlyArray<readonly [RequestKind, unknown, string]> = [
    ["read", answer(404, "notFound"), "NotFound"],
    ["read", answer(404, "notFound", noBucket), "Denied"],
    ["write", answer(404, "notFound", noBucket), "Denied"],
    ["ifMatch", answer(404, "notFound"), "PreconditionFailed"],
    ["ifMatch", answer(404, "notFound", noBucket), "Denied"],
    ["write", answer(412, "conditionNotMet"), "PreconditionFailed"],
    ["ifMatch", answer(412, "conditionNotMet"), "PreconditionFailed"],
    ["read", answer(412, "conditionNotMet"), "Denied"],
    ["write", answer(409, "conflict"), "Conflict"],
    ["list", answer(409, "conflict"), "Unavailable"],
    ["read", answer(401, "authError"), "Denied"],
    ["read", answer(403, "forbidden"), "Denied"],
    ["write", answer(403, "userRateLimitExceeded"), "Unavailable"],
    ["write", answer(400, "invalid"), "Denied"],
    ["write", answer(400, "invalid", "Provided CRC32C doesn't match"), "Unavailable"],
    ["read", answer(416, "requestedRangeNotSatisfiable"), "Denied"],
    ["read", answer(408, ""), "Unavailable"],
    ["write", answer(429, "rateLimitExceeded"), "Unavailable"],
    ["write", answer(500, "backendError"), "Unavailable"],
    ["ifMatch", answer(503, ""), "Unavailable"],
    ["write", Object.assign(new Error("reset"), { code: "ECONNRESET" }), "Unavailable"],
    ["write", new Error("the answer names no generation"), "Unavailable"],
    ["read", noToken(new Error("Could not load the default credentials.")), "Denied"],
    ["read", noToken(Object.assign(new Error("invalid_grant"), { response: { status: 400 } })), "Denied"],
    ["read", noToken(Object.assign(new Error("down"), { response: { status: 503 } })), "Unavailable"],
    ["read", noToken(Object.assign(new Error("no such name"), { code: "ENOTFOUND" })), "Unavailable"],
    ["read", noToken(Object.assign(new Error("no such file"), { code: "ENOENT" })), "Denied"],
    ["write", "not even an error", "Unavailable"]
  ]

  it("sorts every kind of failure by what the caller can do", () => {
    for (const [kind, thrown, tag] of table) {
      const error = classify(kind, "op", "some/key", thrown)
      assert.strictEqual(error._tag, tag, `${kind} ${String(thrown)}`)
      assert.match(error.message, /^op some\/key: /)
    }
    const unavailable = classify("read", "get", "k", answer(503, "backendError", "Service Unavailable"))
    assert.strictEqual(unavailable.message, "get k: HTTP 503 backendError: Service Unavailable")
  })

  it("finds reason and text in JSON, and is content with plain text", () => {
    const json = JSON.stringify({ error: { code: 412, message: "text", errors: [{ reason: "conditionNotMet" }] } })
    assert.deepInclude(refused(412, json), { status: 412, reason: "conditionNotMet", message: "text" })
    assert.deepInclude(refused(404, "No such object: b/k\n"), { reason: "", message: "No such object: b/k" })
    assert.deepInclude(refused(502, "<html><b>Bad</b>\n gateway</html>"), { reason: "", message: "Bad gateway" })
    assert.deepInclude(refused(500, ""), { reason: "", message: "" })
    assert.deepInclude(refused(500, "null"), { status: 500, reason: "" })
  })
})
