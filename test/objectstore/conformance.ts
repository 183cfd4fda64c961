/** What every `ObjectStore` does and refuses, whatever it is made of. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer, Stream } from "effect"
import { ObjectStore, type ObjectStoreError, type StreamedBody } from "../../src/services/ObjectStore.ts"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (body: Uint8Array): string => new TextDecoder().decode(body)

const streamed = (size: number, pieces: ReadonlyArray<Uint8Array>): StreamedBody => ({
  size,
  open: () => Stream.fromIterable(pieces)
})

const pattern = (size: number): Uint8Array => {
  const out = new Uint8Array(size)
  for (let i = 0; i < size; i++) out[i] = (i * 31 + (i >>> 8)) & 0xff
  return out
}

const collect = <E>(stream: Stream.Stream<Uint8Array, E>): Effect.Effect<Uint8Array, E> =>
  Effect.map(Stream.runCollect(stream), (pieces) => new Uint8Array(Buffer.concat(pieces)))

const tagOf = <A>(effect: Effect.Effect<A, ObjectStoreError>): Effect.Effect<string> =>
  Effect.match(effect, { onFailure: (error) => error._tag, onSuccess: () => "success" })

const errorOf = <A>(effect: Effect.Effect<A, ObjectStoreError>): Effect.Effect<ObjectStoreError> =>
  Effect.match(effect, {
    onFailure: (error) => error,
    onSuccess: () => assert.fail("it succeeded")
  })

/** A thousand syncs on a busy disk take their time. */
const timeoutMillis = 90_000

export interface ConformanceOptions {
  /** Rolled-up prefixes count for the size of a page. Default: yes; some stand-ins of other people do not count them. */
  readonly prefixesFillPages?: boolean
}

/** The layer makes an empty store of its own each time it is built. Real time: stores do real I/O. */
export const conformance = <E>(
  name: string,
  layer: Layer.Layer<ObjectStore, E>,
  { prefixesFillPages = true }: ConformanceOptions = {}
): void => {
  const test = (
    sentence: string,
    body: (store: ObjectStore["Service"]) => Effect.Effect<void, ObjectStoreError>
  ): void => {
    it.live(
      sentence,
      () => Effect.flatMap(ObjectStore, body).pipe(Effect.provide(layer, { local: true })),
      timeoutMillis
    )
  }

  describe(name, () => {
    test("an object comes back as it was put, with the same ETag everywhere", (store) =>
      Effect.gen(function* () {
        const { etag } = yield* store.put("a/b.json", bytes("hello"))
        assert.notInclude(etag, '"')
        const got = yield* store.get("a/b.json")
        assert.strictEqual(text(got.body), "hello")
        assert.strictEqual(got.etag, etag)
        const head = yield* store.head("a/b.json")
        assert.deepStrictEqual({ key: head.key, size: head.size, etag: head.etag }, { key: "a/b.json", size: 5, etag })
        assert.isAtMost(Math.abs(head.lastModified - Date.now()), 60_000)
        const page = yield* store.list({ prefix: "" })
        assert.deepStrictEqual(
          page.objects.map((object) => [object.key, object.size, object.etag]),
          [["a/b.json", 5, etag]]
        )
      }))

    test("an empty object is an object", (store) =>
      Effect.gen(function* () {
        yield* store.put("empty", new Uint8Array(0))
        assert.strictEqual((yield* store.get("empty")).body.length, 0)
        assert.strictEqual((yield* store.head("empty")).size, 0)
        const streamOf = yield* store.getStream("empty")
        assert.strictEqual((yield* collect(streamOf.body)).length, 0)
      }))

    test("what is put is a copy: later changes of the caller's buffer do not reach it", (store) =>
      Effect.gen(function* () {
        const mine = bytes("before")
        yield* store.put("k", mine)
        mine.fill(0x78)
        const first = (yield* store.get("k")).body
        assert.strictEqual(text(first), "before")
        first.fill(0x79)
        assert.strictEqual(text((yield* store.get("k")).body), "before")
      }))

    test("what is not there is NotFound for get, getStream, head and copy", (store) =>
      Effect.gen(function* () {
        yield* store.put("folder/object", bytes("x"))
        for (const key of ["missing", "folder/missing", "folder", "folder/object/below"]) {
          assert.strictEqual(yield* tagOf(store.get(key)), "NotFound", key)
          assert.strictEqual(yield* tagOf(store.getStream(key)), "NotFound", key)
          assert.strictEqual(yield* tagOf(store.head(key)), "NotFound", key)
          assert.strictEqual(yield* tagOf(store.copy(key, "copy")), "NotFound", key)
        }
      }))

    test("errors name the operation and the key", (store) =>
      Effect.gen(function* () {
        const error = yield* errorOf(store.get("some/where"))
        assert.include(error.message, "get some/where")
        yield* store.put("taken", bytes("x"))
        const refused = yield* errorOf(store.put("taken", bytes("y"), { ifAbsent: true }))
        assert.include(refused.message, "put taken")
      }))

    test("an unconditional put replaces, and the ETag changes with the contents", (store) =>
      Effect.gen(function* () {
        const first = yield* store.put("k", bytes("one"))
        const second = yield* store.put("k", bytes("two"))
        assert.notStrictEqual(first.etag, second.etag)
        assert.strictEqual(text((yield* store.get("k")).body), "two")
      }))

    test("ifAbsent creates once", (store) =>
      Effect.gen(function* () {
        const { etag } = yield* store.put("once", bytes("first"), { ifAbsent: true })
        assert.strictEqual(yield* tagOf(store.put("once", bytes("second"), { ifAbsent: true })), "PreconditionFailed")
        const got = yield* store.get("once")
        assert.strictEqual(text(got.body), "first")
        assert.strictEqual(got.etag, etag)
        yield* store.delete("once")
        yield* store.put("once", bytes("third"), { ifAbsent: true })
        assert.strictEqual(text((yield* store.get("once")).body), "third")
      }))

    test("ifMatch replaces only the version it names, and never what is gone", (store) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* tagOf(store.put("cas", bytes("0"), { ifMatch: "abc" })), "PreconditionFailed")
        const first = yield* store.put("cas", bytes("1"))
        const second = yield* store.put("cas", bytes("2"), { ifMatch: first.etag })
        assert.strictEqual(yield* tagOf(store.put("cas", bytes("3"), { ifMatch: first.etag })), "PreconditionFailed")
        assert.strictEqual(text((yield* store.get("cas")).body), "2")
        yield* store.delete("cas")
        assert.strictEqual(yield* tagOf(store.put("cas", bytes("4"), { ifMatch: second.etag })), "PreconditionFailed")
        assert.strictEqual(yield* tagOf(store.get("cas")), "NotFound")
      }))

    test("of many writers with the same condition exactly one succeeds", (store) =>
      Effect.gen(function* () {
        const writers = Array.from({ length: 16 }, (_, i) => i)
        const created = yield* Effect.forEach(
          writers,
          (i) => tagOf(store.put("race", bytes(`created ${i}`), { ifAbsent: true })),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(created.filter((tag) => tag === "success").length, 1)
        const { etag } = yield* store.head("race")
        const replaced = yield* Effect.forEach(
          writers,
          (i) => tagOf(store.put("race", bytes(`replaced ${i}`), { ifMatch: etag })),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(replaced.filter((tag) => tag === "success").length, 1)
        const winner = replaced.indexOf("success")
        assert.strictEqual(text((yield* store.get("race")).body), `replaced ${winner}`)
      }))

    test("a counter that many increment through compare-and-set ends exact", (store) =>
      Effect.gen(function* () {
        yield* store.put("counter", bytes("0"))
        const increment: Effect.Effect<void, ObjectStoreError> = Effect.gen(function* () {
          const { body, etag } = yield* store.get("counter")
          yield* store.put("counter", bytes(String(Number(text(body)) + 1)), { ifMatch: etag })
        }).pipe(Effect.retry({ while: (error) => error._tag === "PreconditionFailed" || error._tag === "Conflict" }))
        yield* Effect.forEach(Array.from({ length: 8 }), () => Effect.repeat(increment, { times: 4 }), {
          concurrency: "unbounded"
        })
        assert.strictEqual(text((yield* store.get("counter")).body), "40")
      }))

    test("ranges are inclusive, cut at the end, and refused beyond it", (store) =>
      Effect.gen(function* () {
        yield* store.put("range", bytes("0123456789"))
        const part = (start: number, end: number) =>
          Effect.map(store.get("range", { range: { start, end } }), ({ body }) => text(body))
        assert.strictEqual(yield* part(0, 0), "0")
        assert.strictEqual(yield* part(3, 5), "345")
        assert.strictEqual(yield* part(8, 100), "89")
        assert.strictEqual(yield* tagOf(part(10, 12)), "Denied")
      }))

    test("streams go in and out whole, in pieces of any size", (store) =>
      Effect.gen(function* () {
        const whole = pattern(3_000_001)
        const pieces = [whole.subarray(0, 1), whole.subarray(1, 1_500_000), whole.subarray(1_500_000)]
        const { etag } = yield* store.putStream("big", streamed(whole.length, pieces))
        const got = yield* store.getStream("big")
        assert.strictEqual(got.size, whole.length)
        assert.strictEqual(got.etag, etag)
        assert.isTrue(Buffer.from(yield* collect(got.body)).equals(whole))
        assert.isTrue(Buffer.from((yield* store.get("big")).body).equals(whole))
        assert.strictEqual((yield* store.head("big")).size, whole.length)
      }))

    test("a streamed put keeps its condition", (store) =>
      Effect.gen(function* () {
        const body = streamed(3, [bytes("abc")])
        const { etag } = yield* store.putStream("s", body, { ifAbsent: true })
        assert.strictEqual(yield* tagOf(store.putStream("s", body, { ifAbsent: true })), "PreconditionFailed")
        yield* store.putStream("s", streamed(3, [bytes("def")]), { ifMatch: etag })
        assert.strictEqual(yield* tagOf(store.putStream("s", body, { ifMatch: etag })), "PreconditionFailed")
        assert.strictEqual(text((yield* store.get("s")).body), "def")
      }))

    test("a streamed body that fails or has another size than announced leaves nothing", (store) =>
      Effect.gen(function* () {
        const broken: StreamedBody = {
          size: 6,
          open: () => Stream.concat(Stream.make(bytes("abc")), Stream.fail(new Error("disk on fire")))
        }
        const error = yield* errorOf(store.putStream("bad", broken, { ifAbsent: true }))
        assert.strictEqual(error._tag, "Unavailable")
        assert.include(error.message, "disk on fire")
        const short = streamed(6, [bytes("abc")])
        const long = streamed(2, [bytes("abc")])
        assert.strictEqual(yield* tagOf(store.putStream("bad", short, { ifAbsent: true })), "Unavailable")
        assert.strictEqual(yield* tagOf(store.putStream("bad", long, { ifAbsent: true })), "Unavailable")
        assert.strictEqual(yield* tagOf(store.head("bad")), "NotFound")
        assert.deepStrictEqual((yield* store.list({ prefix: "" })).objects, [])
      }))

    test("copy makes an independent object", (store) =>
      Effect.gen(function* () {
        yield* store.put("from/a b+c.json", bytes("original"))
        yield* store.copy("from/a b+c.json", "to/copy")
        yield* store.put("from/a b+c.json", bytes("changed"))
        assert.strictEqual(text((yield* store.get("to/copy")).body), "original")
      }))

    test("deleting succeeds whether the object is there or not", (store) =>
      Effect.gen(function* () {
        yield* store.put("d", bytes("x"))
        yield* store.delete("d")
        yield* store.delete("d")
        yield* store.delete("never/was")
        assert.strictEqual(yield* tagOf(store.get("d")), "NotFound")
      }))

    test("a bulk delete deletes what is there and does not mind the rest", (store) =>
      Effect.gen(function* () {
        for (let i = 0; i < 5; i++) yield* store.put(`bulk/${i}`, bytes("x"))
        const failed = yield* store.deleteMany(["bulk/0", "bulk/1", "bulk/missing", "elsewhere/x", "bulk/4"])
        assert.deepStrictEqual(failed, [])
        const left = yield* store.list({ prefix: "bulk/" })
        assert.deepStrictEqual(
          left.objects.map((object) => object.key),
          ["bulk/2", "bulk/3"]
        )
        assert.deepStrictEqual(yield* store.deleteMany([]), [])
      }))

    const keys = ["a", "a-b", "a/1", "a/2/x", "a/2/y", "a0", "b/1", "b/2", "ä/1", "z/\u{1f600}", "z/\uffee"]

    test("listing gives the byte order of keys, by prefix", (store) =>
      Effect.gen(function* () {
        const stored = keys.filter((key) => key !== "a")
        for (const key of stored.toReversed()) yield* store.put(key, bytes(key))
        const list = (prefix: string) =>
          Effect.map(store.list({ prefix }), (page) => page.objects.map((object) => object.key))
        const sorted = stored.toSorted((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)))
        assert.deepStrictEqual(yield* list(""), sorted)
        assert.deepStrictEqual(yield* list("a"), ["a-b", "a/1", "a/2/x", "a/2/y", "a0"])
        assert.deepStrictEqual(yield* list("a/"), ["a/1", "a/2/x", "a/2/y"])
        assert.deepStrictEqual(yield* list("a/2"), ["a/2/x", "a/2/y"])
        assert.deepStrictEqual(yield* list("b/1"), ["b/1"])
        assert.deepStrictEqual(yield* list("nothing/here"), [])
        assert.deepStrictEqual(yield* list("b/1/"), [])
      }))

    test("a delimiter rolls keys up into prefixes", (store) =>
      Effect.gen(function* () {
        for (const key of ["a/1", "a/2/x", "a/2/y", "b", "c/1"]) yield* store.put(key, bytes("x"))
        const top = yield* store.list({ prefix: "", delimiter: "/" })
        assert.deepStrictEqual(
          top.objects.map((object) => object.key),
          ["b"]
        )
        assert.deepStrictEqual(top.prefixes, ["a/", "c/"])
        const below = yield* store.list({ prefix: "a/", delimiter: "/" })
        assert.deepStrictEqual(
          below.objects.map((object) => object.key),
          ["a/1"]
        )
        assert.deepStrictEqual(below.prefixes, ["a/2/"])
      }))

    test("pages of every size put together are the whole listing, with and without a delimiter", (store) =>
      Effect.gen(function* () {
        const stored = ["a/1", "a/2", "b", "c/1", "c/2/x", "c/2/y", "d", "e/1"]
        for (const key of stored) yield* store.put(key, bytes("x"))
        for (const delimiter of prefixesFillPages ? [undefined, "/"] : [undefined]) {
          for (const prefix of ["", "c/"]) {
            const options = { prefix, ...(delimiter === undefined ? {} : { delimiter }) }
            const whole = yield* store.list(options)
            assert.isUndefined(whole.next)
            for (let limit = 1; limit <= 9; limit++) {
              const found: Array<string> = []
              const rolled: Array<string> = []
              let after: string | undefined
              for (let pages = 0; pages < 20; pages++) {
                const page = yield* store.list({ ...options, limit, ...(after === undefined ? {} : { after }) })
                assert.isAtMost(page.objects.length + page.prefixes.length, limit)
                found.push(...page.objects.map((object) => object.key))
                rolled.push(...page.prefixes)
                after = page.next
                if (after === undefined) break
              }
              assert.isUndefined(after)
              assert.deepStrictEqual(
                found,
                whole.objects.map((object) => object.key),
                `limit ${limit}`
              )
              assert.deepStrictEqual(rolled, [...whole.prefixes], `limit ${limit}`)
            }
          }
        }
      }))

    test("a page holds at most 1000 keys", (store) =>
      Effect.gen(function* () {
        yield* Effect.forEach(
          Array.from({ length: 1005 }, (_, i) => `many/${String(i).padStart(4, "0")}`),
          (key) => store.put(key, bytes("x")),
          { concurrency: 32 }
        )
        const first = yield* store.list({ prefix: "many/" })
        assert.strictEqual(first.objects.length, 1000)
        const second = yield* store.list({ prefix: "many/", after: first.next! })
        assert.deepStrictEqual(
          second.objects.map((object) => object.key),
          ["many/1000", "many/1001", "many/1002", "many/1003", "many/1004"]
        )
      }))

    test("keys that some store could not hold are refused by all", (store) =>
      Effect.gen(function* () {
        const bad = [
          "",
          "/a",
          "a/",
          "a//b",
          "..",
          "a/../b",
          "a/./b",
          ".hidden",
          "a/.b",
          "a\0b",
          "x".repeat(256),
          "y/".repeat(512) + "y"
        ]
        for (const key of bad) {
          assert.strictEqual(yield* tagOf(store.put(key, bytes("x"))), "Denied", key)
          assert.strictEqual(yield* tagOf(store.get(key)), "Denied", key)
          assert.strictEqual(yield* tagOf(store.delete(key)), "Denied", key)
        }
        assert.deepStrictEqual((yield* store.list({ prefix: "" })).objects, [])
      }))

    test("keys with unusual characters are ordinary keys", (store) =>
      Effect.gen(function* () {
        const odd = [
          "a b",
          "a+b",
          "a%2Fb",
          "a%b",
          "a?b=c",
          "a#b",
          "a&b",
          "a'b",
          'a"b',
          "a<b>",
          "a\\b",
          "ü€\u{1f600}",
          "a:b",
          "a*b",
          "~",
          "a\nb"
        ]
        for (const key of odd) yield* store.put(`odd/${key}`, bytes(key))
        for (const key of odd) assert.strictEqual(text((yield* store.get(`odd/${key}`)).body), key)
        const listed = (yield* store.list({ prefix: "odd/" })).objects.map((object) => object.key).toSorted()
        assert.deepStrictEqual(listed, odd.map((key) => `odd/${key}`).toSorted())
        assert.deepStrictEqual(yield* store.deleteMany(odd.map((key) => `odd/${key}`)), [])
        assert.deepStrictEqual((yield* store.list({ prefix: "" })).objects, [])
      }))
  })
}
