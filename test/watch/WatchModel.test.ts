/**
 * Design 6.7, I6: a watcher sees every event at or after its start, once, in order. Random writes, watches, slow
 * receivers, cancels and compactions against the plain list of everything that happened.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import {
  type Event,
  EventType,
  type KeyValue,
  type WatchCreateRequest,
  WatchFilter,
  type WatchResponse
} from "../../src/core/wire/messages.ts"
import { type Change, WatchHub, type WatchStream } from "../../src/services/WatchHub.ts"
import { bytes, create, hub, keyValue, Receiver, settle, text, World } from "./world.ts"

/** Numbers below a limit, the same ones for the same seed. */
const dice = (seed: number) => {
  let state = seed
  return (limit: number): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
  }
}

const keys = ["a", "b", "ba", "c"]
const ranges = [
  ["a", ""],
  ["b", ""],
  ["b", "c"],
  ["a", "\0"],
  ["", "\0"],
  ["zz", ""]
] as const

type Step =
  | { readonly kind: "write"; readonly ops: ReadonlyArray<readonly [key: string, deleted: boolean]> }
  | {
      readonly kind: "watch"
      readonly stream: number
      readonly range: readonly [string, string]
      /** 0: from now on; else so many revisions before (or a few after) the next one. */
      readonly back: number
      readonly prevKv: boolean
      readonly fragment: boolean
      readonly filters: ReadonlyArray<number>
    }
  | { readonly kind: "cancel"; readonly stream: number; readonly which: number }
  | { readonly kind: "progress"; readonly stream: number }
  | { readonly kind: "drain"; readonly stream: number; readonly room: number }
  | { readonly kind: "close"; readonly stream: number }
  | { readonly kind: "compact"; readonly back: number }
  /** The history is restored from elsewhere, with more in it and perhaps a higher floor. */
  | { readonly kind: "restore"; readonly writes: number; readonly back: number; readonly turns: number }
  | { readonly kind: "turns"; readonly turns: number }

const streams = 3

const stepOf = (draw: (limit: number) => number): Step => {
  const weight = draw(100)
  const stream = draw(streams)
  if (weight < 40) {
    return {
      kind: "write",
      ops: Array.from({ length: 1 + draw(3) }, () => [keys[draw(keys.length)]!, draw(4) === 0] as const)
    }
  }
  if (weight < 55) {
    return {
      kind: "watch",
      stream,
      range: ranges[draw(ranges.length)]!,
      back: draw(13),
      prevKv: draw(2) === 0,
      fragment: draw(2) === 0,
      filters: [[], [], [WatchFilter.NoPut], [WatchFilter.NoDelete]][draw(4)]!
    }
  }
  if (weight < 58) return { kind: "cancel", stream, which: draw(5) }
  if (weight < 68) return { kind: "progress", stream }
  if (weight < 84) return { kind: "drain", stream, room: 1 + draw(5) }
  if (weight < 85) return { kind: "close", stream }
  if (weight < 88) return { kind: "compact", back: draw(9) }
  if (weight < 91) return { kind: "restore", writes: draw(6), back: draw(15), turns: draw(30) }
  return { kind: "turns", turns: 1 + draw(12) }
}

/** What one watch has been told, kept by the test as a client would. */
interface Client {
  readonly request: WatchCreateRequest
  readonly start: number
  /** As `show` prints them. */
  readonly events: Array<string>
  /** How many of them have been compared with the model. */
  checked: number
  /** Revisions whose events have arrived; none may turn up in two responses. */
  readonly revisions: Set<number>
  created: boolean
  /** The last response was a piece with more to come. */
  partial: boolean
  ended: "" | "canceled" | "compacted"
}

class Connection {
  readonly receiver = new Receiver(3)
  readonly stream: WatchStream
  readonly clients = new Map<bigint, Client>()
  /** Requests whose answer has not come yet. */
  readonly asked: Array<Client> = []
  closed = false
  #read = 0

  constructor(open: (receiver: Receiver) => WatchStream) {
    this.stream = open(this.receiver)
  }

  /** Reads what has arrived and checks what holds for every message. */
  read(world: World): void {
    const fresh = this.receiver.messages.slice(this.#read)
    this.#read = this.receiver.messages.length
    for (const message of fresh) this.#take(world, message)
  }

  #take(world: World, message: WatchResponse): void {
    for (const client of this.clients.values()) {
      assert.isTrue(!client.partial || this.clients.get(message.watchId) === client, "something between two pieces")
    }
    if (message.watchId === -1n) {
      // Progress: nothing at or below its revision may be missing anywhere on the stream.
      for (const client of this.clients.values()) {
        if (client.ended !== "") continue
        assert.strictEqual(client.events.length, expected(world, client, message.header!.revision).length)
      }
      return
    }
    if (message.created) {
      const client = this.asked.shift()
      assert.isDefined(client)
      client!.created = true
      this.clients.set(message.watchId, client!)
      return
    }
    const client = this.clients.get(message.watchId)
    assert.isDefined(client, "a message for a watch that was not created")
    // The id of a compacted watch is freed by one more cancel.
    const freed = client!.ended === "compacted" && message.canceled && message.compactRevision === 0
    if (!freed) assert.strictEqual(client!.ended, "", "a message for a watch that has ended")
    if (message.canceled) {
      client!.ended = message.compactRevision === 0 ? "canceled" : "compacted"
      if (message.compactRevision === 0) return
      const seen = [...client!.revisions].at(-1)
      assert.isBelow(seen === undefined ? client!.start : seen + 1, world.floor, "ended although nothing was compacted")
      return
    }
    assert.isNotEmpty(message.events)
    if (!client!.partial) {
      for (const { kv } of message.events) assert.isFalse(client!.revisions.has(kv.modRevision), "a revision was split")
    }
    client!.partial = message.fragment
    for (const event of message.events) {
      client!.revisions.add(event.kv.modRevision)
      client!.events.push(show(event))
      assert.isAtMost(event.kv.modRevision, message.header!.revision)
    }
  }
}

const shown = (kv: KeyValue): string =>
  `${text(kv.key)}=${text(kv.value)} ${kv.createRevision}/${kv.modRevision}/${kv.version}`

const show = ({ kv, prevKv, type }: Event): string =>
  `${type} ${shown(kv)}${prevKv === undefined ? "" : ` was ${shown(prevKv)}`}`

/** Every event of the watch up to a revision: a filter over the plain list. */
const expected = (world: World, { request, start }: Client, upTo: number): ReadonlyArray<Change> =>
  world.changes.filter(({ record }) => {
    const key = text(record.key)
    const begin = text(request.key) || "\0"
    const end = text(request.rangeEnd)
    if (record.revision < start || record.revision > upTo) return false
    if (request.filters.includes(record.deleted ? WatchFilter.NoDelete : WatchFilter.NoPut)) return false
    return end === "" ? key === begin : key >= begin && (end === "\0" || key < end)
  })

/** Both forms are right at a revision that was the floor: rule W6 leaves prev_kv out there. */
const assertSame = (got: string, { previous, record }: Change, prevKv: boolean, floors: ReadonlySet<number>): void => {
  const kv = record.deleted ? { ...keyValue(record), createRevision: 0 } : keyValue(record)
  const type = record.deleted ? EventType.Delete : EventType.Put
  const wanted = show({ type, kv, prevKv: prevKv ? previous : undefined })
  if (got !== wanted && floors.has(record.revision)) assert.strictEqual(got, show({ type, kv, prevKv: undefined }))
  else assert.strictEqual(got, wanted)
}

const check = (world: World, connection: Connection, floors: ReadonlySet<number>, complete: boolean): void => {
  connection.read(world)
  for (const client of connection.clients.values()) {
    const live = client.ended === "" && !connection.closed
    if (client.checked === client.events.length && !complete) continue
    const wanted = expected(world, client, world.revision)
    for (; client.checked < client.events.length; client.checked++) {
      assert.isBelow(client.checked, wanted.length, "an event that never happened")
      assertSame(client.events[client.checked]!, wanted[client.checked]!, client.request.prevKv, floors)
    }
    if (complete && live) assert.strictEqual(client.events.length, wanted.length, "events are missing")
  }
}

const Seed = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000_000 }))
/** Shrinks towards the shortest run that fails. */
const Length = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 150 }))

describe("WatchHub against a plain list", () => {
  it.effect.prop(
    "I6: every watch sees every event at or after its start, once and in order",
    [Seed, Length],
    ([seed, length]) => {
      const draw = dice(seed)
      const before = draw(20)
      const steps = Array.from({ length }, () => stepOf(draw))
      const world = new World()
      for (let i = 0; i < before; i++) world.write([{ key: "abc"[i % 3]!, value: i % 4 === 3 ? undefined : `${i}` }])
      return Effect.gen(function* () {
        const watchHub = yield* WatchHub
        watchHub.begin(world.revision, 0)
        const connections = Array.from({ length: streams }, () => new Connection(watchHub.open))
        const floors = new Set<number>()
        let written = 0
        for (const step of steps) {
          const connection = "stream" in step ? connections[step.stream]! : undefined
          if (step.kind === "write") {
            const ops = new Map(step.ops.map(([key, deleted]) => [key, deleted ? undefined : `${++written}`]))
            const done = world.write([...ops].map(([key, value]) => ({ key, value })))
            if (done !== undefined) watchHub.publish(done.revision, done.changes)
          } else if (step.kind === "watch" && !connection!.closed) {
            const startRevision = step.back === 0 ? 0 : Math.max(1, world.revision + 4 - step.back)
            const { create: request } = create({
              key: bytes(step.range[0]),
              rangeEnd: bytes(step.range[1]),
              startRevision,
              prevKv: step.prevKv,
              fragment: step.fragment,
              filters: step.filters
            })
            const start = startRevision === 0 ? world.revision + 1 : startRevision
            connection!.asked.push({
              request,
              start,
              events: [],
              checked: 0,
              revisions: new Set(),
              created: false,
              partial: false,
              ended: ""
            })
            connection!.stream.request({ kind: "create", create: request })
          } else if (step.kind === "cancel") {
            connection!.stream.request({ kind: "cancel", watchId: BigInt(step.which) })
          } else if (step.kind === "progress") {
            connection!.stream.request({ kind: "progress" })
          } else if (step.kind === "drain" && !connection!.closed) {
            connection!.receiver.room += step.room
            if (connection!.receiver.room > 0) connection!.stream.drained()
          } else if (step.kind === "close") {
            connection!.closed = true
            connection!.stream.close()
            connection!.receiver.room = 0
          } else if (step.kind === "compact") {
            const floor = Math.max(world.floor, world.revision - step.back)
            floors.add(floor)
            watchHub.compacted(floor)
            world.floor = floor
          } else if (step.kind === "restore") {
            world.restoring = true
            yield* settle(step.turns)
            for (let i = 0; i < step.writes; i++) world.write([{ key: keys[i % keys.length]!, value: `${++written}` }])
            const floor = Math.max(world.floor, world.revision - step.back)
            if (floor > world.floor) floors.add(floor)
            world.floor = floor
            world.restoring = false
            watchHub.jumped(world.revision, floor)
          } else if (step.kind === "turns") {
            yield* settle(step.turns)
          }
          for (const one of connections) check(world, one, floors, false)
        }
        for (const one of connections) {
          if (one.closed) continue
          one.receiver.room = 1_000_000
          one.stream.drained()
        }
        for (let turns = 0; watchHub.stats().slow > 0; turns++) {
          assert.isBelow(turns, 5000, "a watch does not catch up")
          yield* settle(1)
          yield* TestClock.adjust(10)
        }
        for (const one of connections) check(world, one, floors, true)
      }).pipe(Effect.provide(hub(world, { limits: { maxRequestBytes: 100 - 524_288, maxTxnOps: 128, quotaBytes: 0 } })))
    },
    { arbitrary: { runs: 200, seed: "watch" } }
  )
})
