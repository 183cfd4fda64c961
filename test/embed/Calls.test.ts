/** Keys, errors, transactions, JSON, users: what a single call does. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { AuthEnableRequest, AuthUserAddRequest, AuthUserGrantRoleRequest } from "../../src/core/wire/codec/auth.ts"
import { Client, ClientApi, Entry, Netsy, Txn, WatchHub } from "../../src/index.ts"

const memory = () => Effect.provide(Netsy.layerMemory({ log: { to: "none" } }))

const textOf = (keys: ReadonlyArray<Entry>): string => keys.map(({ key }) => key).join(" ")

describe("a call", () => {
  it.effect("takes text and bytes, prefixes and spans", () =>
    Effect.gen(function* () {
      const client = yield* Client
      for (const key of ["a", "b/1", "b/2", "c"]) yield* client.put(key, key)
      yield* client.put(Uint8Array.of(0xff, 0xff), Uint8Array.of(0xfe))
      assert.strictEqual(textOf((yield* client.range({ prefix: "b/" })).entries), "b/1 b/2")
      assert.strictEqual(textOf((yield* client.range({ from: "b", to: "c" })).entries), "b/1 b/2")
      assert.strictEqual(textOf((yield* client.range({ from: "", to: "b" })).entries), "a")
      assert.strictEqual(yield* client.count({ from: "b/2" }), 3)
      assert.strictEqual(yield* client.count({ prefix: "" }), 5)
      assert.strictEqual(yield* client.count({ prefix: Uint8Array.of(0xff) }), 1)
      const odd = yield* client.get(Uint8Array.of(0xff, 0xff))
      assert.deepStrictEqual([odd!.valueBytes, odd!.value], [Uint8Array.of(0xfe), "\ufffd"])
      assert.strictEqual(JSON.stringify(yield* client.get("a")).includes('"value":"a"'), true)
    }).pipe(memory())
  )

  it.effect("sorts, limits, leaves values out and reads the past", () =>
    Effect.gen(function* () {
      const client = yield* Client
      yield* client.put("x", "2")
      const { revision } = yield* client.put("y", "1")
      yield* client.put("x", "3")
      const descending = { sort: { by: "value", order: "descending" } } as const
      assert.strictEqual(textOf((yield* client.range({ prefix: "" }, descending)).entries), "x y")
      assert.strictEqual((yield* client.get("x", { revision }))?.value, "2")
      const { entries } = yield* client.range({ prefix: "" }, { keysOnly: true, minModRevision: revision + 1 })
      assert.deepStrictEqual([textOf(entries), entries[0]!.value], ["x", ""])
      assert.strictEqual((yield* client.range({ prefix: "" }, { countOnly: true })).count, 2)
      assert.strictEqual((yield* client.get("x", { serializable: true }))?.value, "3")
    }).pipe(memory())
  )

  it.effect("fails with etcd's code as the tag and etcd's text as the message", () =>
    Effect.gen(function* () {
      const client = yield* Client
      const failures = [
        ["EtcdInvalidArgument", "etcdserver: key is not provided", client.put("", "x")],
        ["EtcdInvalidArgument", "etcdserver: request is too large", client.put("a", "x".repeat(2 << 20))],
        ["EtcdNotFound", "etcdserver: requested lease not found", client.put("a", "x", { lease: 5n })],
        ["EtcdNotFound", "etcdserver: requested lease not found", client.revoke(5n)],
        [
          "EtcdOutOfRange",
          "etcdserver: mvcc: required revision is a future revision",
          client.get("a", { revision: 99 })
        ],
        ["EtcdFailedPrecondition", "etcdserver: lease already exists", client.grant("60 seconds", { id: 7n })]
      ] as const
      yield* client.grant("60 seconds", { id: 7n })
      for (const [tag, message, call] of failures) {
        const error = yield* Effect.flip<unknown, { readonly _tag: string; readonly message: string }, never>(call)
        assert.deepStrictEqual([error._tag, error.message], [tag, message])
      }
      yield* client.put("a", "1")
      const { revision } = yield* client.put("a", "2")
      yield* client.compact(revision, { physical: true })
      const gone = yield* Effect.flip(client.get("a", { revision: revision - 1 }))
      assert.ok(gone._tag === "EtcdCompacted")
      assert.strictEqual(gone.compactRevision, revision)
      assert.strictEqual(yield* client.get("nobody"), undefined)
    }).pipe(memory())
  )

  it.effect("that makes no sense without types is a defect of the program, and the node goes on", () =>
    Effect.gen(function* () {
      const client = yield* Client
      const odd: object = { value: 5 }
      const { value } = odd as { value: string }
      const exit = yield* Effect.exit(Effect.suspend(() => client.put("a", value)))
      assert.ok(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      yield* client.put("a", "1")
    }).pipe(memory())
  )

  it.effect("gives a transaction's answers their types", () =>
    Effect.gen(function* () {
      const client = yield* Client
      const created = yield* client.txn({ if: [Txn.absent("k")], then: [Txn.put("k", "1")], else: [Txn.get("k")] })
      assert.ok(created.succeeded)
      const revision: number = created.answers[0].revision
      assert.strictEqual(revision, created.revision)
      const again = yield* client.txn({ if: [Txn.absent("k")], then: [Txn.put("k", "1")], else: [Txn.get("k")] })
      assert.ok(!again.succeeded)
      const found = again.answers[0]
      assert.ok(found instanceof Entry)
      const nested = yield* client.txn({
        if: [Txn.unchanged(found), Txn.value("k", "<", "2"), Txn.version("k", "=", 1), Txn.lease("k", "=", 0n)],
        then: [Txn.txn({ if: [Txn.present("nobody")], else: [Txn.delete("k", { previous: true })] }), Txn.range("k")]
      })
      assert.ok(nested.succeeded)
      const [inner, after] = nested.answers
      assert.ok(!inner.succeeded)
      assert.deepStrictEqual([inner.answers[0].deleted, textOf(inner.answers[0].previous), after.count], [1, "k", 0])
      const empty = yield* client.txn({})
      assert.deepStrictEqual([empty.succeeded, empty.answers], [true, []])
    }).pipe(memory())
  )

  it.effect("reads and writes JSON of a schema, and says what does not fit", () =>
    Effect.gen(function* () {
      const client = yield* Client
      const days = client.json(Schema.Struct({ day: Schema.DateFromString }))
      const day = new Date(86_400_000)
      yield* days.put("d/1", { day })
      yield* client.txn({ then: [yield* days.putOp("d/2", { day })] })
      assert.deepStrictEqual((yield* days.get("d/1"))?.value, { day })
      assert.deepStrictEqual(
        (yield* days.entries({ prefix: "d/" })).map(({ key }) => key),
        ["d/1", "d/2"]
      )
      assert.strictEqual((yield* client.get("d/1"))?.value, '{"day":"1970-01-02T00:00:00.000Z"}')
      yield* client.put("d/3", "{}")
      assert.strictEqual((yield* Effect.flip(days.get("d/3")))._tag, "SchemaError")
      assert.strictEqual(yield* days.get("d/4"), undefined)
    }).pipe(memory())
  )

  it.effect("is made as a user when authentication is on, also after the token has run out", () =>
    Effect.gen(function* () {
      const client = yield* Client
      const api = yield* ClientApi
      const admin = (method: string, request: Uint8Array) =>
        Effect.callback<void>((resume) =>
          api.unary(
            `/etcdserverpb.Auth/${method}`,
            request,
            { identity: undefined, commonName: undefined, metadata: () => undefined },
            { succeed: () => resume(Effect.void), fail: (error) => resume(Effect.die(error)) }
          )
        )
      yield* admin(
        "UserAdd",
        AuthUserAddRequest.encode({ name: "root", password: "pw", options: undefined, hashedPassword: "" })
      )
      yield* admin("UserGrantRole", AuthUserGrantRoleRequest.encode({ user: "root", role: "root" }))
      yield* admin("AuthEnable", AuthEnableRequest.encode({}))
      assert.strictEqual((yield* Effect.flip(client.put("a", "1"))).message, "etcdserver: user name is empty")
      const watch = yield* Effect.flip(Stream.runDrain(client.watch("a")))
      assert.strictEqual(watch._tag, "EtcdInvalidArgument")
      assert.strictEqual(
        (yield* Effect.flip(client.login("root", "wrong"))).message,
        "etcdserver: authentication failed, invalid user ID or password"
      )
      const root = yield* client.login("root", "pw")
      yield* root.put("a", "1")
      // Tokens live for five minutes after their last use.
      yield* TestClock.adjust("6 minutes")
      assert.strictEqual(yield* root.keepAlive(yield* Effect.map(root.grant("60 seconds"), ({ id }) => id)), 60)
      yield* TestClock.adjust("6 minutes")
      assert.strictEqual((yield* root.get("a"))?.value, "1")
    }).pipe(Effect.provide(Netsy.layerMemory({ auth: { bcryptCost: 4 }, log: { to: "none" } })))
  )

  it.live("that is interrupted or timed out leaves nothing behind", () =>
    Effect.gen(function* () {
      const client = yield* Client
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* client.lock("l")
          const waiting = yield* Effect.forkChild(Effect.scoped(client.lock("l")))
          while ((yield* client.count({ prefix: "l/" })) < 2) yield* Effect.sleep("1 millis")
          yield* Fiber.interrupt(waiting)
          assert.ok(Exit.isFailure(yield* Fiber.await(waiting)))
          while ((yield* client.count({ prefix: "l/" })) > 1) yield* Effect.sleep("1 millis")
          // Whoever waits in line watches the one before.
          assert.strictEqual(yield* WatchHub.use((hub) => Effect.sync(() => hub.stats().watches)), 0)
          const late = yield* Effect.exit(Effect.timeout(Effect.scoped(client.lock("l")), "20 millis"))
          assert.ok(Exit.isFailure(late))
          while ((yield* client.count({ prefix: "l/" })) > 1) yield* Effect.sleep("1 millis")
        })
      )
      assert.deepStrictEqual(yield* client.leases, [])
      assert.strictEqual(yield* client.count({ prefix: "" }), 0)
    }).pipe(memory())
  )
})
