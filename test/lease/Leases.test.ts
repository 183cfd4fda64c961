/** Leases on a whole node, in virtual time. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { type EtcdError, errors } from "../../src/core/wire/errors.ts"
import { AlarmType, EventType, type WatchCreateRequest, type WatchResponse } from "../../src/core/wire/messages.ts"
import { Alarms } from "../../src/services/Alarms.ts"
import { Snapshotter } from "../../src/services/Snapshotter.ts"
import { WatchHub } from "../../src/services/WatchHub.ts"
import { asEffect, everything, makeWorld, MemoryDisk, put, startNode } from "../node/world.ts"
import { attach, grant, keepAlive, keepAlives, list, revoke, running, timeToLive, working } from "./node.ts"

describe("leases of a node", () => {
  it.effect("are granted with a positive id of their own or a given one, at least for the minimum", () =>
    Effect.gen(function* () {
      const node = yield* running(startNode(makeWorld()))
      const own = yield* running(node.use(grant(10)))
      assert.isTrue(own.id > 0n && own.id < 2n ** 63n)
      assert.strictEqual(own.ttl, 10)
      assert.strictEqual(own.header!.revision, 1)
      const given = yield* running(node.use(grant(-5, -7n)))
      assert.deepStrictEqual([given.id, given.ttl], [-7n, 2])
      assert.deepStrictEqual(yield* Effect.flip(running(node.use(grant(10, -7n)))), errors.leaseExists)
      assert.deepStrictEqual(yield* Effect.flip(running(node.use(grant(9_000_000_001)))), errors.leaseTtlTooLarge)
      assert.strictEqual((yield* running(node.use(grant(9_000_000_000)))).ttl, 9_000_000_000)
      assert.deepStrictEqual((yield* running(node.use(list))).slice(0, 2), [-7n, own.id])
      yield* running(node.stop)
    })
  )

  it.effect("die with all their keys in one revision, and no later than a second after their time", () =>
    Effect.gen(function* () {
      const node = yield* running(startNode(makeWorld()))
      const { id } = yield* running(node.use(grant(5)))
      for (const key of ["b", "a", "c"]) yield* running(node.use(attach(key, id)))
      yield* running(node.use(put("c", "moved")))
      const before = yield* running(node.use(timeToLive(id)))
      assert.deepStrictEqual([before.ttl, before.grantedTtl, before.keys.map(String)], [5, 5, ["97", "98"]])
      yield* TestClock.adjust(4_500)
      assert.strictEqual(yield* running(node.use(everything)), "a=v b=v c=moved")
      yield* TestClock.adjust(1_200)
      assert.strictEqual(yield* running(node.use(everything)), "c=moved")
      const after = yield* running(node.use(timeToLive(id)))
      assert.deepStrictEqual([after.ttl, after.grantedTtl, after.header!.revision], [-1, 0, 6])
      assert.deepStrictEqual(yield* running(node.use(list)), [])
      assert.deepStrictEqual(yield* Effect.flip(running(node.use(attach("d", id)))), errors.leaseNotFound)
      yield* running(node.stop)
    })
  )

  it.effect("show watches the death of all their keys in one response, in byte order, with what they were", () =>
    Effect.gen(function* () {
      const node = yield* running(startNode(makeWorld()))
      const responses: Array<WatchResponse> = []
      const watch: WatchCreateRequest = {
        key: Uint8Array.of(0),
        rangeEnd: Uint8Array.of(0),
        startRevision: 0,
        progressNotify: false,
        filters: [],
        prevKv: true,
        watchId: 0n,
        fragment: false
      }
      const ids = [(yield* running(node.use(grant(5)))).id, (yield* running(node.use(grant(60)))).id]
      for (const id of ids) for (const key of ["b", "\u00ff", "a"]) yield* running(node.use(attach(`${key}${id}`, id)))
      yield* node.use(
        WatchHub.use((hub) =>
          Effect.sync(() => {
            const stream = hub.open({ send: (response) => responses.push(response) > 0 })
            stream.request({ kind: "create", create: watch })
          })
        )
      )
      yield* TestClock.adjust(6_000)
      yield* running(node.use(revoke(ids[1]!)))
      const shown = responses
        .filter(({ events }) => events.length > 0)
        .map(({ events, header }) => ({
          revisions: [header!.revision, ...events.map(({ kv }) => kv.modRevision)],
          events: events.map(({ kv, prevKv, type }) => [
            type,
            Buffer.from(kv.key).toString().slice(0, 1),
            prevKv?.lease,
            Buffer.from(prevKv!.value).toString()
          ])
        }))
      const deaths = (id: bigint) => ["a", "b", "\u00ff"].map((key) => [EventType.Delete, key, id, "v"])
      assert.deepStrictEqual(shown, [
        { revisions: [8, 8, 8, 8], events: deaths(ids[0]!) },
        { revisions: [9, 9, 9, 9], events: deaths(ids[1]!) }
      ])
      yield* running(node.stop)
    })
  )

  it.effect("are revoked once; one without keys takes no revision", () =>
    Effect.gen(function* () {
      const node = yield* running(startNode(makeWorld()))
      const { id } = yield* running(node.use(grant(5)))
      assert.strictEqual((yield* running(node.use(revoke(id)))).header!.revision, 1)
      assert.deepStrictEqual(yield* Effect.flip(running(node.use(revoke(id)))), errors.leaseNotFound)
      yield* running(node.stop)
    })
  )

  it.effect("live as long as they are kept alive, and not longer", () =>
    Effect.gen(function* () {
      const node = yield* running(startNode(makeWorld()))
      const { id } = yield* running(node.use(grant(3)))
      yield* running(node.use(attach("a", id)))
      for (let i = 0; i < 10; i++) {
        yield* TestClock.adjust(2_900)
        assert.strictEqual(yield* running(node.use(keepAlive(id))), 3)
      }
      yield* TestClock.adjust(2_900)
      assert.strictEqual(yield* running(node.use(everything)), "a=v")
      yield* TestClock.adjust(1_200)
      assert.strictEqual(yield* running(node.use(everything)), "")
      assert.strictEqual(yield* running(node.use(keepAlive(id))), 0)
      yield* running(node.stop)
    })
  )

  it.effect("a keep-alive that comes too late waits for the revocation, and those behind it wait too", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const node = yield* running(startNode(world))
      const { answers, ends, stream } = yield* node.use(keepAlives)
      const late = (yield* running(node.use(grant(2)))).id
      const other = (yield* running(node.use(grant(60)))).id
      // Chunks take so long that the revocation is not committed at once.
      world.decide = (call) => (call.key.startsWith("chunks/") ? { kind: "delay", millis: 400 } : undefined)
      stream.renew(other)
      yield* TestClock.adjust(2_000)
      stream.renew(late)
      stream.renew(other)
      stream.renew(404n)
      stream.end(undefined)
      assert.strictEqual(answers.length, 1)
      yield* TestClock.adjust(1_000)
      assert.deepStrictEqual(
        answers.map(({ id, ttl }) => [id, ttl]),
        [
          [other, 60],
          [late, 0],
          [other, 60],
          [404n, 0]
        ]
      )
      assert.deepStrictEqual(ends, [undefined])
      yield* running(node.stop)
    })
  )

  it.effect("have their full time again after a restart, a crash, a lost disk, and from a snapshot", () =>
    Effect.gen(function* () {
      const folder = mkdtempSync(join(tmpdir(), "netsy-lease-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true })))
      const world = makeWorld({ NETSY_DATA_DIR: folder })
      let node = yield* running(startNode(world))
      const { id } = yield* running(node.use(grant(20)))
      yield* running(node.use(attach("a", id)))
      const gone = (yield* running(node.use(grant(1_000)))).id
      yield* running(node.use(attach("b", gone)))
      yield* running(node.use(revoke(gone)))
      const ends = ["stop", "kill", "lost disk", "snapshot"] as const
      for (const end of ends) {
        yield* TestClock.adjust(15_000)
        if (end === "snapshot") yield* working(node.use(Snapshotter.use((snapshotter) => snapshotter.take)))
        yield* running(end === "stop" ? node.stop : node.kill)
        if (end === "lost disk" || end === "snapshot") world.disk = new MemoryDisk()
        // Nobody counts while nobody reigns.
        yield* TestClock.adjust(30_000)
        node = yield* running(startNode(world))
        const { grantedTtl, keys, ttl } = yield* running(node.use(timeToLive(id)))
        assert.deepStrictEqual([ttl >= 19, grantedTtl, keys.map(String)], [true, 20, ["97"]], end)
        assert.deepStrictEqual(yield* running(node.use(list)), [id], end)
        assert.strictEqual(yield* running(node.use(everything)), "a=v", end)
      }
      yield* TestClock.adjust(19_000)
      assert.strictEqual(yield* running(node.use(everything)), "a=v")
      yield* TestClock.adjust(2_200)
      assert.strictEqual(yield* running(node.use(everything)), "")
      yield* running(node.stop)
    })
  )

  it.effect("that an outage gave more time answer the keep-alives that came after their old end", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const node = yield* running(startNode(world))
      const { id } = yield* running(node.use(grant(5)))
      yield* TestClock.adjust(4_000)
      world.decide = () => ({ kind: "fail" })
      // The right to answer is gone by now.
      yield* TestClock.adjust(320)
      const waiting = []
      for (let i = 0; i < 20; i++) {
        yield* TestClock.adjust(80)
        const stream = yield* node.use(keepAlives)
        stream.stream.renew(id)
        waiting.push(stream)
      }
      world.decide = () => undefined
      yield* TestClock.adjust(3_000)
      assert.deepStrictEqual(
        waiting.map(({ answers, ends }) => [...answers.map(({ ttl }) => ttl), ...ends]),
        waiting.map(() => [5])
      )
      yield* running(node.stop)
    })
  )

  it.effect("do not run out while nobody can keep them alive", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const node = yield* running(startNode(world))
      const { id } = yield* running(node.use(grant(10)))
      yield* running(node.use(attach("a", id)))
      yield* TestClock.adjust(6_000)
      world.decide = () => ({ kind: "fail" })
      yield* TestClock.adjust(30_000)
      world.decide = () => undefined
      yield* TestClock.adjust(3_000)
      // Six seconds had gone before the outage.
      assert.strictEqual(yield* running(node.use(keepAlive(id))), 10)
      assert.strictEqual(yield* running(node.use(everything)), "a=v")
      yield* TestClock.adjust(11_200)
      assert.strictEqual(yield* running(node.use(everything)), "")
      yield* running(node.stop)
    })
  )

  it.effect("a grant whose caller was told of a time-out lives from its commit on", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const node = yield* running(startNode(world))
      world.decide = (call) => (call.key.startsWith("chunks/") ? { kind: "fail" } : undefined)
      assert.deepStrictEqual(yield* Effect.flip(running(node.use(grant(10, 5n)))), errors.requestTimedOut)
      yield* TestClock.adjust(20_000)
      world.decide = () => undefined
      yield* TestClock.adjust(5_000)
      assert.isAtLeast((yield* running(node.use(timeToLive(5n)))).ttl, 1)
      yield* TestClock.adjust(12_000)
      assert.strictEqual((yield* running(node.use(timeToLive(5n)))).ttl, -1)
      yield* running(node.stop)
    })
  )

  it.effect("are refused while the database is full, and wholly while it is corrupt", () =>
    Effect.gen(function* () {
      const node = yield* running(startNode(makeWorld()))
      const { id } = yield* running(node.use(grant(5)))
      yield* running(node.use(attach("a", id)))
      const alarm = (type: number, action: "activate" | "deactivate") =>
        running(
          node.use(
            Alarms.use((alarms) => asEffect<unknown>((reply) => alarms[action]({ memberId: 1n, alarm: type }, reply)))
          )
        )
      yield* alarm(AlarmType.NoSpace, "activate")
      assert.deepStrictEqual(yield* Effect.flip(running(node.use(grant(5)))), errors.noSpace)
      assert.strictEqual(yield* running(node.use(keepAlive(id))), 5)
      yield* alarm(AlarmType.Corrupt, "activate")
      for (const call of [grant(5), revoke(id), timeToLive(id), list, keepAlive(id)]) {
        assert.deepStrictEqual(yield* Effect.flip(running(node.use<unknown, EtcdError>(call))), errors.corrupt)
      }
      yield* TestClock.adjust(10_000)
      yield* alarm(AlarmType.Corrupt, "deactivate")
      // A full database lets go of what has run out; a refused revocation is tried again after three seconds.
      yield* TestClock.adjust(4_000)
      assert.strictEqual(yield* running(node.use(everything)), "")
      yield* running(node.stop)
    })
  )
})
