/** etcd-api.md 2.6: the rules of Watch, one by one. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Random } from "effect"
import { TestClock } from "effect/testing"
import { emptyBytes } from "../../src/core/log/record.ts"
import { type Event, EventType, WatchFilter, type WatchResponse } from "../../src/core/wire/messages.ts"
import { WatchHub } from "../../src/services/WatchHub.ts"
import { bytes, create, hub, Receiver, settle, text, World } from "./world.ts"

const begun = Effect.fnUntraced(function* (world: World, room = 1_000_000) {
  const watchHub = yield* WatchHub
  watchHub.begin(world.revision, world.floor)
  const receiver = new Receiver(room)
  const stream = watchHub.open(receiver)
  const write = (...ops: ReadonlyArray<readonly [string, string | undefined]>): void => {
    const written = world.write(ops.map(([key, value]) => ({ key, value })))
    if (written !== undefined) watchHub.publish(written.revision, written.changes)
  }
  const drain = (room: number): void => {
    receiver.room = room
    stream.drained()
  }
  return { watchHub, receiver, stream, write, drain }
})

const show = ({ kv, prevKv, type }: Event): string =>
  `${type === EventType.Put ? "put" : "del"} ${text(kv.key)}=${text(kv.value)}@${kv.modRevision}` +
  (prevKv === undefined ? "" : ` was ${text(prevKv.value)}@${prevKv.modRevision}`)

const events = (messages: ReadonlyArray<WatchResponse>, id = 0n): ReadonlyArray<string> =>
  messages.filter((message) => message.watchId === id).flatMap((message) => message.events.map(show))

/** A world in which `count` revisions were written before the node started. */
const history = (count: number, value = (i: number) => `v${i}`): World => {
  const world = new World()
  for (let i = 2; i <= count + 1; i++) world.write([{ key: `k${i % 5}`, value: value(i) }])
  return world
}

const everything = { key: bytes("\0"), rangeEnd: bytes("\0") }

describe("a watch from now on", () => {
  const world = new World()
  it.effect(
    "W1 W5 W8 W12: created first with the current revision, then the events of each revision in one message",
    () =>
      Effect.gen(function* () {
        const { receiver, stream, write } = yield* begun(world)
        write(["a", "0"])
        stream.request(create({ key: bytes("a"), rangeEnd: bytes("c") }))
        write(["a", "1"], ["b", "2"], ["c", "3"])
        write(["a", undefined])
        const [created, first, second] = receiver.messages
        assert.strictEqual(created!.created, true)
        assert.strictEqual(created!.watchId, 0n)
        assert.strictEqual(created!.header!.revision, 2)
        assert.deepStrictEqual(created!.events, [])
        assert.deepStrictEqual(first!.events.map(show), ["put a=1@3", "put b=2@3"])
        assert.strictEqual(first!.header!.revision, 3)
        assert.deepStrictEqual(second!.events, [
          {
            type: EventType.Delete,
            kv: { key: bytes("a"), createRevision: 0, modRevision: 4, version: 0, value: emptyBytes, lease: 0n },
            prevKv: undefined
          }
        ])
        assert.deepStrictEqual(first!.events[0]!.kv, {
          key: bytes("a"),
          createRevision: 2,
          modRevision: 3,
          version: 2,
          value: bytes("1"),
          lease: 0n
        })
        assert.strictEqual(receiver.messages.length, 3)
      }).pipe(Effect.provide(hub(world)))
  )

  it.effect("W4: an empty key means the lowest key, a range end of one zero byte no upper end", () => {
    const world = new World()
    return Effect.gen(function* () {
      const { receiver, stream, write } = yield* begun(world)
      stream.request(create({ key: emptyBytes }))
      stream.request(create({ key: emptyBytes, rangeEnd: bytes("\0") }))
      stream.request(create({ key: bytes("\xff\xff"), rangeEnd: bytes("\0") }))
      stream.request(create({ key: emptyBytes, rangeEnd: bytes("b") }))
      write(["\0", "zero"])
      write(["\xff\xff\xff", "last"])
      write(["a", "in the middle"])
      assert.deepStrictEqual(events(receiver.messages, 0n), ["put \0=zero@2"])
      assert.strictEqual(events(receiver.messages, 1n).length, 3)
      assert.deepStrictEqual(events(receiver.messages, 2n), ["put \xff\xff\xff=last@3"])
      assert.deepStrictEqual(events(receiver.messages, 3n), ["put \0=zero@2", "put a=in the middle@4"])
    }).pipe(Effect.provide(hub(world)))
  })

  it.effect("W11: filters drop events, and a message left without events is not sent", () => {
    const world = new World()
    return Effect.gen(function* () {
      const { receiver, stream, write } = yield* begun(world)
      stream.request(create({ ...everything, filters: [WatchFilter.NoPut] }))
      stream.request(create({ ...everything, filters: [WatchFilter.NoDelete] }))
      stream.request(create({ ...everything, filters: [WatchFilter.NoDelete, WatchFilter.NoPut] }))
      write(["a", "1"], ["b", "1"])
      write(["a", undefined], ["b", "2"])
      assert.deepStrictEqual(events(receiver.messages, 0n), ["del a=@3"])
      assert.deepStrictEqual(events(receiver.messages, 1n), ["put a=1@2", "put b=1@2", "put b=2@3"])
      assert.strictEqual(receiver.messages.length, 3 + 1 + 2)
    }).pipe(Effect.provide(hub(world)))
  })

  it.effect("W10: prev_kv is attached to changes and deletes, not to creates, and only where it was asked for", () => {
    const world = new World()
    return Effect.gen(function* () {
      const { receiver, stream, write } = yield* begun(world)
      stream.request(create({ key: bytes("a"), prevKv: true }))
      stream.request(create({ key: bytes("a") }))
      write(["a", "1"])
      write(["a", "2"])
      write(["a", undefined])
      write(["a", "3"])
      assert.deepStrictEqual(events(receiver.messages, 0n), [
        "put a=1@2",
        "put a=2@3 was 1@2",
        "del a=@4 was 2@3",
        "put a=3@5"
      ])
      assert.deepStrictEqual(events(receiver.messages, 1n), ["put a=1@2", "put a=2@3", "del a=@4", "put a=3@5"])
    }).pipe(Effect.provide(hub(world)))
  })
})

describe("watch ids", () => {
  const world = new World()
  it.effect(
    "W2 W13: the server chooses 0, 1, 2 … and skips ids in use; a duplicate is refused; cancel frees an id",
    () =>
      Effect.gen(function* () {
        const { receiver, stream, write } = yield* begun(world)
        for (const id of [1n, 0n, 0n, 1n, -5n]) stream.request(create({ key: bytes("a"), watchId: id }))
        assert.deepStrictEqual(
          receiver.messages.map((message) => message.watchId),
          [1n, 0n, 2n, -1n, -5n]
        )
        const refused = receiver.messages[3]!
        assert.strictEqual(refused.created && refused.canceled, true)
        assert.strictEqual(refused.cancelReason, "mvcc: duplicate watch ID provided on the WatchStream")
        assert.strictEqual(refused.compactRevision, 0)

        stream.request({ kind: "cancel", watchId: 1n })
        stream.request({ kind: "cancel", watchId: 99n })
        const canceled = receiver.messages.at(-1)!
        assert.deepStrictEqual(
          [canceled.watchId, canceled.created, canceled.canceled, canceled.cancelReason, canceled.compactRevision],
          [1n, false, true, "", 0]
        )
        assert.strictEqual(receiver.messages.length, 6)
        write(["a", "1"])
        assert.deepStrictEqual(
          receiver.messages.slice(6).map((message) => message.watchId),
          [0n, 2n, -5n]
        )
        stream.request(create({ key: bytes("a"), watchId: 1n }))
        assert.strictEqual(receiver.messages.at(-1)!.watchId, 1n)
      }).pipe(Effect.provide(hub(world)))
  )

  it.effect("W3: an empty range and a negative start are refused with etcd's words", () => {
    const world = new World()
    return Effect.gen(function* () {
      const { receiver, stream, watchHub } = yield* begun(world)
      stream.request(create({ key: bytes("b"), rangeEnd: bytes("b") }))
      stream.request(create({ key: bytes("b"), rangeEnd: bytes("a") }))
      stream.request(create({ key: bytes("b"), rangeEnd: bytes("a"), startRevision: -1 }))
      assert.deepStrictEqual(
        receiver.messages.map(({ canceled, cancelReason, compactRevision, created, watchId }) => [
          watchId,
          created,
          canceled,
          cancelReason,
          compactRevision
        ]),
        [
          [-1n, true, true, "mvcc: watcher range is empty", 0],
          [-1n, true, true, "mvcc: watcher range is empty", 0],
          [-1n, true, true, "etcdserver: mvcc: required revision has been compacted", 0]
        ]
      )
      assert.strictEqual(watchHub.stats().watches, 0)
    }).pipe(Effect.provide(hub(world)))
  })
})

describe("a watch from an old revision", () => {
  const world = history(2500)
  it.effect("W5 W8: gets history in batches of whole revisions and goes on live without gap or repeat", () =>
    Effect.gen(function* () {
      const { receiver, stream, watchHub, write } = yield* begun(world)
      stream.request(create({ ...everything, startRevision: 3 }))
      assert.strictEqual(watchHub.stats().minRevision, 3)
      for (let i = 0; i < 300; i++) {
        write([`n${i}`, "x"], ["k0", `y${i}`])
        yield* Effect.yieldNow
      }
      yield* settle()
      const seen = receiver.messages.flatMap((message) => message.events.map((event) => event.kv.modRevision))
      const wanted = world.changes.map(({ record }) => record.revision).filter((revision) => revision >= 3)
      assert.deepStrictEqual(seen, wanted)
      for (const message of receiver.messages) {
        const revisions = new Set(message.events.map((event) => event.kv.modRevision))
        assert.isAtMost(revisions.size, 1000)
        for (const revision of revisions) assert.isAtMost(revision, message.header!.revision)
      }
      assert.strictEqual(watchHub.stats().slow, 0)
      assert.strictEqual(watchHub.stats().minRevision, world.revision + 1)
      assert.strictEqual(watchHub.stats().eventsSent, wanted.length)
    }).pipe(Effect.provide(hub(world)))
  )

  it.effect("shares what it reads: a thousand watches from about the same revision read the disk a few times", () => {
    const world = history(900)
    return Effect.gen(function* () {
      const { receiver, stream } = yield* begun(world)
      for (let i = 0; i < 1000; i++) stream.request(create({ key: bytes("k3"), startRevision: 2 + (i % 7) }))
      yield* settle()
      assert.isAtMost(world.diskReads, 8)
      for (const id of [0n, 6n, 999n])
        assert.strictEqual(events(receiver.messages, id).length, 180 - (id % 7n > 1n ? 1 : 0))
    }).pipe(Effect.provide(hub(world)))
  })

  it.effect("bounds a batch in bytes, previous values included", () => {
    const world = history(200, () => "x".repeat(50_000))
    return Effect.gen(function* () {
      const { receiver, stream } = yield* begun(world)
      stream.request(create({ ...everything, startRevision: 2, prevKv: true }))
      yield* settle(2000)
      assert.strictEqual(events(receiver.messages).length, 200)
      const biggest = Math.max(...receiver.messages.map((message) => message.events.length))
      assert.isAtMost(biggest, 32)
      const changed = receiver.messages.flatMap((message) => message.events).slice(5)
      assert.isTrue(changed.every((event) => event.prevKv?.value.length === 50_000))
    }).pipe(Effect.provide(hub(world)))
  })

  it.effect("W7: a start in the future is silent until then, for progress requests too", () => {
    const world = history(3)
    return Effect.gen(function* () {
      const { receiver, stream, write } = yield* begun(world)
      stream.request(create({ ...everything, startRevision: 7 }))
      stream.request({ kind: "progress" })
      write(["a", "5"])
      stream.request({ kind: "progress" })
      assert.strictEqual(receiver.messages.length, 1)
      write(["a", "6"])
      // All below 7 has been sent, but a bookmark below the start is none.
      stream.request({ kind: "progress" })
      assert.strictEqual(receiver.messages.length, 1)
      write(["a", "7"])
      stream.request({ kind: "progress" })
      assert.deepStrictEqual([receiver.messages.at(-1)!.watchId, receiver.messages.at(-1)!.header!.revision], [-1n, 7])
      assert.deepStrictEqual(events(receiver.messages), ["put a=7@7"])
    }).pipe(Effect.provide(hub(world)))
  })

  it.effect(
    "W6: below the floor it is created, then cancelled with the floor; at the floor it works without prev_kv",
    () => {
      const world = history(10)
      world.floor = 7
      return Effect.gen(function* () {
        const { receiver, stream } = yield* begun(world)
        stream.request(create({ ...everything, startRevision: 6, watchId: 5n }))
        stream.request(create({ ...everything, startRevision: 7, prevKv: true }))
        yield* settle()
        const [created, canceled] = receiver.messages
        assert.deepStrictEqual([created!.created, created!.canceled, created!.watchId], [true, false, 5n])
        assert.deepStrictEqual(
          [canceled!.watchId, canceled!.canceled, canceled!.compactRevision, canceled!.cancelReason],
          [5n, true, 7, ""]
        )
        assert.strictEqual(canceled!.header!.revision, 0)
        // The id stays in use until the client cancels it too.
        const sent = receiver.messages.length
        stream.request(create({ ...everything, watchId: 5n }))
        stream.request({ kind: "cancel", watchId: 5n })
        stream.request({ kind: "cancel", watchId: 5n })
        stream.request(create({ key: bytes("none"), watchId: 5n }))
        assert.deepStrictEqual(
          receiver.messages.slice(sent).map((one) => [one.watchId, one.created, one.canceled, one.cancelReason]),
          [
            [-1n, true, true, "mvcc: duplicate watch ID provided on the WatchStream"],
            [5n, false, true, ""],
            [5n, true, false, ""]
          ]
        )
        assert.deepStrictEqual(events(receiver.messages), [
          "put k2=v7@7",
          "put k3=v8@8 was v3@3",
          "put k4=v9@9 was v4@4",
          "put k0=v10@10 was v5@5",
          "put k1=v11@11 was v6@6"
        ])
      }).pipe(Effect.provide(hub(world)))
    }
  )
})

describe("a transaction that touches a key twice", () => {
  const told = ["put k=1@2", "put new=a@3", "del new=@3", "put k=2@3 was 1@2", "del k=@3 was 1@2"]

  it.effect("W10: prev_kv is from before the transaction, live and from history", () => {
    const world = new World()
    return Effect.gen(function* () {
      const { receiver, stream, watchHub, write } = yield* begun(world)
      stream.request(create({ ...everything, prevKv: true }))
      write(["k", "1"])
      write(["new", "a"], ["new", undefined], ["k", "2"], ["k", undefined])
      assert.deepStrictEqual(events(receiver.messages), told)
      const late = new Receiver(1_000_000)
      watchHub.open(late).request(create({ ...everything, prevKv: true, startRevision: 2 }))
      yield* settle()
      assert.deepStrictEqual(events(late.messages), told)
    }).pipe(Effect.provide(hub(world)))
  })

  it.effect("W10: the same when the history is read from disk", () => {
    const world = new World()
    world.write([{ key: "k", value: "1" }])
    world.write([
      { key: "new", value: "a" },
      { key: "new", value: undefined },
      { key: "k", value: "2" },
      { key: "k", value: undefined }
    ])
    return Effect.gen(function* () {
      const { receiver, stream } = yield* begun(world)
      stream.request(create({ ...everything, prevKv: true, startRevision: 2 }))
      yield* settle()
      assert.deepStrictEqual(events(receiver.messages), told)
      assert.isAbove(world.diskReads, 0)
    }).pipe(Effect.provide(hub(world)))
  })
})

describe("a watch from the compacted revision", () => {
  it.effect("C2: sees only the newest version of a key that one transaction touched twice", () => {
    const world = new World()
    world.write([
      { key: "gone", value: "a" },
      { key: "gone", value: undefined },
      { key: "k", value: "1" }
    ])
    world.write([{ key: "k", value: "2" }])
    world.floor = 2
    // The rows are still there: the disk removes them when it gets to it.
    world.stored = () => world.changes.map(({ record }) => record)
    return Effect.gen(function* () {
      const { receiver, stream } = yield* begun(world)
      stream.request(create({ ...everything, startRevision: 2 }))
      yield* settle()
      assert.deepStrictEqual(events(receiver.messages), ["del gone=@2", "put k=1@2", "put k=2@3"])
    }).pipe(Effect.provide(hub(world)))
  })
})

describe("a slow receiver", () => {
  it.effect("W17: is sent nothing while full, does not hold up others, and gets everything afterwards in order", () => {
    const world = new World()
    return Effect.gen(function* () {
      const { drain, receiver, stream, watchHub, write } = yield* begun(world, 2)
      const quick = new Receiver(1_000_000)
      const other = watchHub.open(quick)
      stream.request(create({ ...everything, prevKv: true }))
      other.request(create(everything))
      for (let i = 0; i < 5000; i++) write([`k${i % 3}`, `${i}`])
      assert.strictEqual(receiver.messages.length, 2)
      assert.strictEqual(events(quick.messages).length, 5000)
      assert.strictEqual(watchHub.stats().slow, 1)
      assert.strictEqual(watchHub.stats().minRevision, 3)
      for (let turns = 0; watchHub.stats().slow > 0; turns++) {
        assert.isBelow(turns, 100)
        drain(1)
        yield* settle(20)
      }
      assert.strictEqual(events(receiver.messages).length, 5000)
      assert.strictEqual(events(receiver.messages).at(-1), "put k1=4999@5001 was 4996@4998")
      assert.strictEqual(world.diskReads, 0)
    }).pipe(Effect.provide(hub(world)))
  })

  it.effect("reads the disk only for what memory no longer holds", () => {
    const world = new World()
    return Effect.gen(function* () {
      const { drain, receiver, stream, watchHub, write } = yield* begun(world, 1)
      stream.request(create({ ...everything, prevKv: true }))
      for (let i = 0; i < 40; i++) write(["big", "x".repeat(1_000_000)])
      drain(1_000_000)
      yield* settle(2000)
      assert.strictEqual(watchHub.stats().slow, 0)
      const revisions = receiver.messages.flatMap((message) => message.events.map((event) => event.kv.modRevision))
      assert.deepStrictEqual(
        revisions,
        Array.from({ length: 40 }, (_, i) => i + 2)
      )
      assert.isAbove(world.diskReads, 0)
      assert.isBelow(world.diskReads, 40)
    }).pipe(Effect.provide(hub(world)))
  })

  it.effect("W6: one that is overtaken by a compaction is cancelled, the others go on", () => {
    const world = history(10)
    return Effect.gen(function* () {
      const { drain, receiver, stream, watchHub, write } = yield* begun(world, 2)
      stream.request(create({ ...everything, startRevision: 4 }))
      stream.request(create({ ...everything, startRevision: 9 }))
      world.floor = 9
      watchHub.compacted(9)
      drain(1000)
      write(["a", "1"])
      yield* settle()
      assert.deepStrictEqual(
        receiver.messages
          .filter((message) => message.canceled)
          .map((message) => [message.watchId, message.compactRevision]),
        [[0n, 9]]
      )
      assert.deepStrictEqual(events(receiver.messages, 0n), [])
      assert.strictEqual(events(receiver.messages, 1n).length, 4)
    }).pipe(Effect.provide(hub(world)))
  })

  it.effect("that never reads and asks on is refused at last, and memory stays bounded", () => {
    const world = new World()
    return Effect.gen(function* () {
      const { receiver, stream, watchHub } = yield* begun(world, 1)
      stream.request(create(everything))
      for (let i = 0; i < 100_000; i++) assert.isTrue(stream.request({ kind: "progress" }))
      let taken = 0
      while (
        stream.request({ kind: "cancel", watchId: -7n }) &&
        stream.request(create({ key: bytes("a"), startRevision: -1 }))
      )
        taken++
      assert.isBelow(taken, 5000)
      assert.strictEqual(receiver.messages.length, 1)
      stream.close()
      assert.deepStrictEqual(watchHub.stats(), { streams: 0, watches: 0, slow: 0, minRevision: 2, eventsSent: 0 })
    }).pipe(Effect.provide(hub(world)))
  })
})

describe("W9: fragments", () => {
  it.effect("a response above the limit is split, the pieces are adjacent, and only the last lacks the mark", () => {
    const world = new World()
    return Effect.gen(function* () {
      const { drain, receiver, stream, write } = yield* begun(world, 4)
      stream.request(create({ ...everything, fragment: true }))
      stream.request(create(everything))
      const value = "x".repeat(400_000)
      write(...Array.from({ length: 12 }, (_, i) => [`k${i}`, value] as const))
      stream.request({ kind: "progress" })
      write(["after", "1"])
      while (receiver.room === 0) {
        drain(1)
        yield* settle(20)
        if (receiver.messages.at(-1)!.events.some((event) => text(event.kv.key) === "after")) drain(100)
      }
      const mine = receiver.messages.filter((message) => message.watchId === 0n && message.events.length > 1)
      assert.deepStrictEqual(
        mine.map((message) => [message.events.length, message.fragment]),
        [
          [5, true],
          [5, true],
          [2, false]
        ]
      )
      const first = receiver.messages.indexOf(mine[0]!)
      assert.deepStrictEqual(receiver.messages.slice(first, first + 3), mine)
      const whole = receiver.messages.filter((message) => message.watchId === 1n && message.events.length > 1)
      assert.deepStrictEqual(
        whole.map((message) => [message.events.length, message.fragment]),
        [[12, false]]
      )
    }).pipe(Effect.provide(hub(world)))
  })
})

describe("progress", () => {
  it.effect("W15: a request is answered at once behind the events, when every watch of the stream is caught up", () => {
    const world = history(20)
    return Effect.gen(function* () {
      const { receiver, stream, write } = yield* begun(world)
      stream.request({ kind: "progress" })
      assert.strictEqual(receiver.messages.length, 0)
      stream.request(create(everything))
      stream.request({ kind: "progress" })
      write(["a", "1"])
      stream.request({ kind: "progress" })
      assert.deepStrictEqual(
        receiver.messages.slice(1).map((message) => [message.watchId, message.header!.revision, message.events.length]),
        [
          [-1n, 21, 0],
          [0n, 22, 1],
          [-1n, 22, 0]
        ]
      )
      stream.request(create({ ...everything, startRevision: 2 }))
      stream.request({ kind: "progress" })
      assert.strictEqual(receiver.messages.length, 5)
      yield* settle()
      stream.request({ kind: "progress" })
      assert.deepStrictEqual(
        receiver.messages.slice(5).map((message) => message.watchId),
        [1n, -1n]
      )
    }).pipe(Effect.provide(hub(world)))
  })

  it.effect(
    "W14: a notification comes every interval with up to a tenth more, only to quiet watches that asked",
    () => {
      const world = new World()
      return Effect.gen(function* () {
        const { receiver, stream, write } = yield* begun(world)
        stream.request(create({ ...everything, progressNotify: true }))
        stream.request(create(everything))
        stream.request(create({ ...everything, progressNotify: true, startRevision: 50 }))
        yield* TestClock.adjust("4999 millis")
        assert.strictEqual(receiver.messages.length, 3)
        yield* TestClock.adjust("501 millis")
        assert.deepStrictEqual(
          receiver.messages
            .slice(3)
            .map((message) => [message.watchId, message.header!.revision, message.events.length]),
          [[0n, 1, 0]]
        )
        write(["a", "1"])
        const before = receiver.messages.length
        yield* TestClock.adjust("5500 millis")
        assert.strictEqual(receiver.messages.length, before)
        yield* TestClock.adjust("5500 millis")
        assert.strictEqual(receiver.messages.length, before + 1)
        assert.strictEqual(receiver.messages.at(-1)!.header!.revision, 2)
        stream.close()
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(receiver.messages.length, before + 1)
      }).pipe(Effect.provide(hub(world, { watch: { progressIntervalMillis: 5000 } })), Random.withSeed("progress"))
    }
  )
})

describe("the hub", () => {
  it.effect("keeps requests that come before the store is loaded", () => {
    const world = history(3)
    return Effect.gen(function* () {
      const watchHub = yield* WatchHub
      const receiver = new Receiver(100)
      watchHub.open(receiver).request(create({ ...everything, startRevision: 3 }))
      assert.strictEqual(receiver.messages.length, 0)
      watchHub.begin(world.revision, 0)
      yield* settle()
      assert.strictEqual(receiver.messages[0]!.header!.revision, 4)
      assert.deepStrictEqual(events(receiver.messages), ["put k3=v3@3", "put k4=v4@4"])
    }).pipe(Effect.provide(hub(world)))
  })

  it.effect("goes on gaplessly where the store was loaded again further on", () => {
    const world = history(3)
    return Effect.gen(function* () {
      const { receiver, stream, watchHub, write } = yield* begun(world)
      stream.request(create(everything))
      stream.request(create({ ...everything, startRevision: 7 }))
      write(["a", "5"])
      for (const value of ["6", "7", "8"]) world.write([{ key: "b", value }])
      watchHub.jumped(8, 0)
      write(["c", "9"])
      yield* settle()
      assert.deepStrictEqual(events(receiver.messages, 0n), [
        "put a=5@5",
        "put b=6@6",
        "put b=7@7",
        "put b=8@8",
        "put c=9@9"
      ])
      assert.deepStrictEqual(events(receiver.messages, 1n), ["put b=7@7", "put b=8@8", "put c=9@9"])
      assert.deepStrictEqual(watchHub.stats().slow, 0)
      write(["a", "10"])
      assert.strictEqual(events(receiver.messages, 1n).at(-1), "put a=10@10")
    }).pipe(Effect.provide(hub(world)))
  })

  it.effect("W6: ends a watch that would need what the loaded history no longer has", () => {
    const world = history(3)
    return Effect.gen(function* () {
      const { receiver, stream, watchHub } = yield* begun(world)
      stream.request(create(everything))
      stream.request(create({ ...everything, startRevision: 20 }))
      for (const value of ["5", "6", "7", "8"]) world.write([{ key: "b", value }])
      world.floor = 7
      watchHub.jumped(8, 7)
      yield* settle()
      const ended = receiver.messages.filter(({ canceled }) => canceled)
      assert.deepStrictEqual(
        ended.map(({ compactRevision, watchId }) => [watchId, compactRevision]),
        [[0n, 7]]
      )
    }).pipe(Effect.provide(hub(world)))
  })

  it.effect("takes a disk whose contents are being replaced for no silence", () => {
    const world = history(5)
    return Effect.gen(function* () {
      const { receiver, stream, watchHub } = yield* begun(world)
      world.restoring = true
      stream.request(create({ ...everything, startRevision: 3, prevKv: true }))
      yield* settle()
      yield* TestClock.adjust(200)
      assert.deepStrictEqual(events(receiver.messages), [])
      world.write([{ key: "k3", value: "new" }])
      world.restoring = false
      watchHub.jumped(7, 0)
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(events(receiver.messages), [
        "put k3=v3@3",
        "put k4=v4@4",
        "put k0=v5@5",
        "put k1=v6@6",
        "put k3=new@7 was v3@3"
      ])
    }).pipe(Effect.provide(hub(world)))
  })

  it.effect("refuses a revision that leaves a hole and a floor that moves back", () => {
    const world = history(3)
    return Effect.gen(function* () {
      const { watchHub } = yield* begun(world)
      assert.throws(() => watchHub.publish(6, []), /6 published after 4/)
      watchHub.compacted(3)
      assert.throws(() => watchHub.compacted(2), /floor moved back from 3 to 2/)
      assert.throws(() => watchHub.jumped(3, 3), /jump from revision 4 to 3/)
      assert.throws(() => watchHub.jumped(5, 2), /floor moved back from 3 to 2/)
    }).pipe(Effect.provide(hub(world)))
  })

  it.effect(
    "finds the watches of a key without looking at the others",
    () => {
      const world = new World()
      return Effect.gen(function* () {
        const { stream, watchHub, write } = yield* begun(world)
        const name = (i: number) => `key-${String(i).padStart(6, "0")}`
        for (let i = 0; i < 10_000; i++) stream.request(create({ key: bytes(name(i)) }))
        for (let i = 0; i < 10_000; i++) stream.request(create({ key: bytes(name(i)), rangeEnd: bytes(`${name(i)}0`) }))
        const publishes = 20_000
        for (let i = 0; i < publishes; i++) write([name(i % 10_000), "v"])
        assert.strictEqual(watchHub.stats().eventsSent, 2 * publishes)
      }).pipe(Effect.provide(hub(world)))
    },
    10_000
  )
})
