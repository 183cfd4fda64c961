/**
 * A seeded random walk of one node through roles: entries from a Primary elsewhere, reigns of its own with writes that are
 * committed or lost, restores from a snapshot, restarts. After every step what the node shows is compared with a dumb
 * model of the log; watches see every committed event, once, in order, and nothing else (design 6.7, I3, I4, I6, I7).
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { firstEntry, opRecord } from "../../src/core/log/entry.ts"
import { AlarmAction, decodeOp, encodeOp, type Op } from "../../src/core/log/op.ts"
import type { Entry, LogRecord } from "../../src/core/log/record.ts"
import { authOp } from "../../src/core/auth/changes.ts"
import { LoggedState } from "../../src/core/state/LoggedState.ts"
import { evaluateDeleteRange, evaluatePut, tombstone, type WriteContext } from "../../src/core/txn/evaluate.ts"
import { isEtcdError } from "../../src/core/wire/errors.ts"
import { AlarmType, EventType, type RangeResponse } from "../../src/core/wire/messages.ts"
import { MemoryDisk } from "../../src/layers/LocalStoreMemory.ts"
import { Kv } from "../../src/services/Kv.ts"
import { LocalStore } from "../../src/services/LocalStore.ts"
import { ReplicatedState } from "../../src/services/ReplicatedState.ts"
import { Supervisor } from "../../src/services/Supervisor.ts"
import { WatchHub } from "../../src/services/WatchHub.ts"
import { rangeOf } from "../support/requests.ts"
import { random, type Random } from "../wire/random.ts"
import { type Model, modelOf } from "./model.ts"
import { makeNode, type Outcome, outcomeOf, settle } from "./world.ts"

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"))
const text = (of: Uint8Array): string => Buffer.from(of).toString("latin1")
const keys = ["a", "b", "c", "d", "e"]
const roleNames = ["r1", "r2"]
const everything = { start: "\0", end: undefined, single: false }

/** What the next entry is made from: changes evaluated at head, and an operation. */
type Made = { readonly records: ReadonlyArray<LogRecord>; readonly op: Op | undefined }

/** Any entry that may follow what `state` is at head; leases, alarms and roles among it. */
const make = (
  draw: Random,
  state: Pick<LoggedState, "store" | "leases" | "alarms" | "auth">,
  context: WriteContext
): Made | undefined => {
  const { leases, store } = state
  const key = bytes(keys[draw.int(keys.length)]!)
  const kind = draw.int(100)
  if (kind < 45) {
    const held = [...leases.all()].map(({ id }) => id)
    const lease = held.length > 0 && draw.chance(40) ? held[draw.int(held.length)]! : 0n
    const request = {
      key,
      value: bytes(`v${draw.int(1000)}`),
      lease,
      prevKv: false,
      ignoreValue: false,
      ignoreLease: false
    }
    const put = evaluatePut(store, request, context)
    return isEtcdError(put) ? undefined : { records: put.records, op: undefined }
  }
  if (kind < 58) {
    const rangeEnd = draw.chance(30) ? bytes("z") : new Uint8Array(0)
    const { records } = evaluateDeleteRange(store, { key, rangeEnd, prevKv: false }, context)
    return records.length === 0 ? undefined : { records, op: undefined }
  }
  if (kind < 68) {
    const id = BigInt(1 + draw.int(4))
    if (leases.has(id)) return undefined
    return { records: [], op: { kind: "leaseGrant", id, ttlSeconds: 100 + draw.int(100), remainingTtlSeconds: 0 } }
  }
  if (kind < 78) {
    const id = BigInt(1 + draw.int(4))
    if (!leases.has(id)) return undefined
    const records: Array<LogRecord> = []
    for (const held of leases.keys(id)) {
      records.push(tombstone(store.liveAt(held, store.headRevision)!, records.length, context))
    }
    return { records, op: { kind: "leaseRevoke", id } }
  }
  if (kind < 84) {
    const action = draw.chance(50) ? AlarmAction.Activate : AlarmAction.Deactivate
    return { records: [], op: { kind: "alarm", memberId: BigInt(1 + draw.int(2)), type: AlarmType.NoSpace, action } }
  }
  if (kind < 90) {
    const name = roleNames[draw.int(roleNames.length)]!
    const change = state.auth.roles.has(name)
      ? ({ kind: "roleDelete", name } as const)
      : ({ kind: "roleAdd", name } as const)
    return { records: [], op: { kind: "auth", auth: authOp(state.auth, change) } }
  }
  const from = store.headCompactRevision + 1
  const span = store.headRevision - from + 1
  if (span < 4) return undefined
  return { records: [], op: { kind: "compaction", revision: from + draw.int(span), physical: false } }
}

/** The cluster elsewhere: what is committed there, on a disk whose floor follows. */
class Elsewhere {
  readonly state = new LoggedState()
  readonly committed: Array<Entry> = []
  term = 1

  context(index: number): WriteContext {
    const { leases, store } = this.state
    return {
      revision: store.headRevision + 1,
      index,
      term: this.term,
      leaderId: "node-2",
      createdAt: { seconds: 0, nanos: 0 },
      leaseExists: (id) => leases.has(id)
    }
  }

  /** The next entry at its head. */
  next(draw: Random, index: number): Entry {
    for (;;) {
      const context = this.context(index)
      const made = make(draw, this.state, context)
      if (made === undefined) continue
      return this.entry(made, index)
    }
  }

  entry({ op, records }: Made, index: number): Entry {
    const revision = this.state.store.headRevision + (records.length > 0 ? 1 : 0)
    const facts = { index, term: this.term, revision, leaderId: "node-2", createdAt: { seconds: 0, nanos: 0 } }
    const all = op === undefined ? records : [...records, opRecord(facts, encodeOp(op), records.length)]
    return { index, term: this.term, revision, records: all }
  }

  commit(entry: Entry): void {
    this.state.apply(entry)
    this.state.commit(entry, { changed: () => {}, compacted: () => {}, op: () => {} })
    this.committed.push(entry)
  }

  /** As a snapshot has it: the operations of the state, then what the floor lets stay. */
  snapshot() {
    const { floor, index, ops, revision, term } = this.state.source()
    const newest = new Map<string, LogRecord>()
    const changes = this.committed.flatMap(({ records }) => records.filter(({ op }) => op === undefined))
    for (const record of changes) if (record.revision <= floor) newest.set(text(record.key), record)
    const kept = changes.filter(
      (record) =>
        record.revision > floor ||
        (newest.get(text(record.key)) === record && (!record.deleted || record.revision === floor))
    )
    const facts = { index, term, revision, leaderId: "", createdAt: undefined }
    return {
      records: [...ops.map((op, sub) => opRecord(facts, op, sub)), ...kept],
      end: { index, term },
      revision,
      floor
    }
  }
}

/** A watch of everything from a revision on, by a client that is slow at times and begins anew when it was compacted. */
class Watcher {
  readonly seen: Array<string> = []
  next: number
  compactions = 0
  #room = 3
  readonly #hub: WatchHub["Service"]
  readonly #committed: () => number
  #stream: ReturnType<WatchHub["Service"]["open"]>

  constructor(hub: WatchHub["Service"], from: number, committed: () => number) {
    this.#hub = hub
    this.#committed = committed
    this.next = from
    this.#stream = this.#open()
  }

  #open() {
    const stream = this.#hub.open({
      send: (response) => {
        if (response.compactRevision > 0) {
          assert.isBelow(this.next, response.compactRevision, "ended although nothing it needs was compacted")
          this.compactions++
          this.next = response.compactRevision
          queueMicrotask(() => {
            stream.close()
            this.#stream = this.#open()
          })
          return true
        }
        for (const { kv, type } of response.events) {
          assert.isAtMost(kv.modRevision, this.#committed(), "an uncommitted event")
          this.seen.push(`${kv.modRevision} ${text(kv.key)} ${type === EventType.Delete ? "-" : text(kv.value)}`)
          this.next = kv.modRevision + 1
        }
        return --this.#room > 0
      }
    })
    stream.request({
      kind: "create",
      create: {
        key: Uint8Array.of(0),
        rangeEnd: Uint8Array.of(0),
        startRevision: this.next,
        progressNotify: false,
        filters: [],
        prevKv: false,
        watchId: 0n,
        fragment: false
      }
    })
    return stream
  }

  drain(room: number): void {
    this.#room = room
    this.#stream.drained()
  }
}

const shownAt = (state: ReplicatedState["Service"], revision: number): ReadonlyArray<string> =>
  state.store
    .scan(everything, revision, 1_000)
    .map((v) => `${text(v.key)} ${v.lease} ${v.createRevision} ${v.modRevision} ${v.version}`)

const viewOf = (model: Model, revision: number): ReadonlyArray<string> =>
  [...(model.views.get(revision) ?? new Map())]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, v]) => `${key} ${v.lease} ${v.create} ${v.mod} ${v.version}`)

const besideKeys = (state: ReplicatedState["Service"]) => ({
  revision: state.store.headRevision,
  leases: [...state.leases.all()].map((l) => `${l.id} ${l.ttlSeconds} ${state.leases.keys(l.id).join()}`).toSorted(),
  alarms: state
    .alarms()
    .map(({ alarm, memberId }) => `${memberId}/${alarm}`)
    .toSorted(),
  roles: [...state.auth().roles.keys()].toSorted(),
  headFloor: state.store.headCompactRevision
})

const besideKeysOf = (model: Model): ReturnType<typeof besideKeys> => ({
  revision: model.revision,
  leases: [...model.leases]
    .map(([id, ttl]) => {
      const attached = [...model.views.get(model.revision)!].filter(([, { lease }]) => lease === id).map(([key]) => key)
      return `${id} ${ttl} ${attached.toSorted().join()}`
    })
    .toSorted(),
  alarms: [...model.alarms],
  roles: [...model.roles],
  headFloor: model.floor
})

const checkState = (state: ReplicatedState["Service"], committed: ReadonlyArray<Entry>, head: ReadonlyArray<Entry>) => {
  const model = modelOf(committed)
  assert.strictEqual(state.store.committedRevision, model.revision)
  assert.strictEqual(state.store.compactRevision, model.floor)
  for (let revision = Math.max(1, model.floor); revision <= model.revision; revision++) {
    assert.deepStrictEqual(shownAt(state, revision), viewOf(model, revision), `at revision ${revision}`)
    assert.strictEqual(state.store.countAll(revision), model.views.get(revision)!.size)
  }
  const atHead = head.length === 0 ? model : modelOf([...committed, ...head])
  assert.deepStrictEqual(besideKeys(state), besideKeysOf(atHead))
  assert.deepStrictEqual(shownAt(state, atHead.revision), viewOf(atHead, atHead.revision))
  const source = state.snapshotSource()
  const last = committed.at(-1)
  assert.deepStrictEqual(
    { index: source.index, term: source.term, revision: source.revision, floor: source.floor },
    { index: last?.index ?? 0, term: last?.term ?? 0, revision: model.revision, floor: Math.max(0, model.floor) }
  )
  const granted = source.ops.map(decodeOp).flatMap((op) => (op.kind === "leaseGrant" ? [op.id] : []))
  assert.deepStrictEqual(granted.toSorted(), [...model.leases.keys()].toSorted())
}

type Ranged = Outcome<RangeResponse>

const rangeAt = (kv: Kv["Service"], revision: number): Ranged =>
  outcomeOf((reply) =>
    kv.range(rangeOf(Uint8Array.of(0), { rangeEnd: Uint8Array.of(0), revision, serializable: true }), reply)
  )

const rangedText = ({ answer }: Ranged) => answer?.kvs.map(({ key, value }) => `${text(key)}=${text(value)}`)

const valuesAt = (committed: ReadonlyArray<Entry>, revision: number): ReadonlyArray<string> =>
  [...modelOf(committed).views.get(revision)!]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, { value }]) => `${key}=${value}`)

const walk = (seed: number, steps: number) =>
  Effect.gen(function* () {
    const draw = random(seed)
    const disk = new MemoryDisk()
    const there = new Elsewhere()
    there.commit(firstEntry({ term: 1, leaderId: "node-2", createdAt: { seconds: 0, nanos: 0 } }))
    const counts: Record<string, number> = {}
    const count = (what: string): void => {
      counts[what] = (counts[what] ?? 0) + 1
    }
    /** Everything that the watches of earlier lives have seen is in here too. */
    let stored = 0

    const life = (stepsOfLife: number) =>
      Effect.suspend(() => {
        const { layer, replicator, snapshots } = makeNode(disk)
        replicator.term = there.term
        const body = Effect.gen(function* () {
          const state = yield* ReplicatedState
          const kv = yield* Kv
          const hub = yield* WatchHub
          const local = yield* LocalStore
          const supervisor = yield* Supervisor
          const watchers: Array<{ watcher: Watcher; from: number }> = []

          const watch = (from: number): void => {
            watchers.push({ watcher: new Watcher(hub, from, () => state.store.committedRevision), from })
          }
          const committedHere = () => there.committed.slice(0, replicator.committed.index)
          const check = Effect.gen(function* () {
            yield* TestClock.adjust(100)
            yield* settle
            checkState(state, committedHere(), replicator.role === "replica" ? [] : replicator.pending)
            // Nothing that the bucket lacks has been dropped from the disk.
            const { firstIndex, last } = yield* local.bounds
            const from = Math.max(firstIndex, stored + 1)
            assert.isAtMost(firstIndex, stored + 1)
            const whole = yield* local.entries(from, 10_000, 1e9)
            assert.strictEqual(whole.length, Math.max(0, last.index - from + 1))
            for (const entry of whole) {
              const expected = there.committed[entry.index - 1]
              if (expected !== undefined && entry.index <= replicator.committed.index) {
                assert.deepStrictEqual(entry.records, expected.records)
              }
            }
          })
          const catchUp = Effect.gen(function* () {
            if (replicator.committed.index >= there.committed.length) return
            yield* replicator.follow(
              there.committed.slice(replicator.headIndex, there.committed.length),
              there.committed.length
            )
          })

          const asReplica = Effect.gen(function* () {
            const kind = draw.int(100)
            if (kind < 45) {
              const made = 1 + draw.int(6)
              for (let i = 0; i < made; i++) there.commit(there.next(draw, there.committed.length + 1))
              const all = there.committed.slice(replicator.headIndex)
              yield* replicator.follow(all, there.committed.length - draw.int(Math.min(all.length, 3)))
              count("followed")
            } else if (kind < 60) {
              // Far behind: what it lacks is only in the bucket.
              yield* replicator.truncateFrom(replicator.committed.index + 1)
              const made = draw.int(25)
              for (let i = 0; i < made; i++) there.commit(there.next(draw, there.committed.length + 1))
              if (replicator.committed.index === there.committed.length) return
              stored = there.committed.length
              const floor = Math.max(1, state.store.floor)
              const revision = floor + draw.int(state.store.committedRevision - floor + 1)
              const asked: Array<Ranged> = []
              const during = Effect.suspend(() => {
                for (const { watcher } of watchers) watcher.drain(5)
                if (draw.chance(30)) watch(Math.max(2, state.store.floor))
                asked.push(rangeAt(kv, revision))
                return settle
              })
              yield* replicator.restore(there.snapshot(), during)
              replicator.machine.stored(stored)
              yield* check
              for (const outcome of asked) {
                if (outcome.error === undefined)
                  assert.deepStrictEqual(rangedText(outcome), valuesAt(committedHere(), revision))
                else assert.isBelow(revision, state.store.floor)
              }
              count("restored")
            } else if (kind < 75) {
              yield* catchUp
              there.term++
              replicator.term = there.term - 1
              yield* replicator.takeOver(there.state.store.committedRevision)
              yield* check
              for (const entry of replicator.pending) there.commit(entry)
              stored = there.committed.length
              replicator.machine.stored(stored)
              replicator.activate({ head: replicator.committed })
              count("reigned")
            }
          })

          const asPrimary = Effect.gen(function* () {
            const kind = draw.int(100)
            if (kind < 55) {
              const next = state.next()
              assert.isFalse(isEtcdError(next))
              if (isEtcdError(next)) return
              const at = { store: state.store, leases: state.leases, alarms: state.alarms(), auth: state.auth() }
              const made = make(draw, at as LoggedState, state.writeContext(next))
              if (made === undefined) return
              state.append(next, made.records, made.op, { done: () => {}, failed: () => {} })
              count("appended")
            } else if (kind < 85) {
              const passed = yield* replicator.commit(
                replicator.committed.index + draw.int(replicator.pending.length + 1)
              )
              for (const entry of passed) there.commit(entry)
              count("committed")
            } else {
              const lost = replicator.pending.length
              yield* replicator.depose()
              there.term++
              // Of what was appended the next Primary had a part, and commits it.
              const kept = draw.int(lost + 1)
              for (const entry of replicator.pending.slice(0, kept)) there.commit(entry)
              yield* check
              if (kept < lost) yield* replicator.truncateFrom(replicator.committed.index + kept + 1)
              yield* replicator.follow([], replicator.committed.index + kept)
              count(lost > 0 ? "deposed with something to lose" : "deposed")
              assert.strictEqual(snapshots.events.at(-1), "rest")
            }
          })

          replicator.machine.stored(stored)
          yield* check
          for (let step = 0; step < stepsOfLife; step++) {
            yield* replicator.role === "active" ? asPrimary : asReplica
            if (draw.chance(30)) {
              stored = Math.max(stored, replicator.committed.index - draw.int(20))
              replicator.machine.stored(stored)
            }
            if (watchers.length < 6 && draw.chance(20)) {
              watch(Math.max(2, state.store.floor, state.store.committedRevision - draw.int(20)))
            }
            for (const { watcher } of watchers) if (draw.chance(50)) watcher.drain(1 + draw.int(4))
            yield* check
            const floor = Math.max(1, state.store.floor)
            const revision = floor + draw.int(state.store.committedRevision - floor + 1)
            const range = rangeAt(kv, revision)
            yield* settle
            assert.isUndefined(range.error)
            assert.deepStrictEqual(rangedText(range), valuesAt(committedHere(), revision))
          }
          for (let round = 0; round < 200; round++) {
            for (const { watcher } of watchers) watcher.drain(100)
            yield* settle
          }
          const { events } = modelOf(committedHere())
          for (const { from, watcher } of watchers) {
            const wanted = events.filter(({ revision }) => revision >= from).map((event) => event.text)
            if (watcher.compactions === 0) assert.deepStrictEqual(watcher.seen, wanted)
            else {
              count("watches that were compacted")
              // In order, each once, of the committed ones; what is missing was below a floor.
              const missing = wanted.filter((event) => !watcher.seen.includes(event))
              assert.deepStrictEqual(
                watcher.seen,
                wanted.filter((event) => !missing.includes(event))
              )
              for (const event of missing) assert.isAtMost(Number.parseInt(event), state.store.floor)
            }
          }
          const ended = yield* Effect.forkChild(Effect.exit(supervisor.ended))
          yield* settle
          assert.isUndefined(ended.pollUnsafe())
        })
        return Effect.scoped(Effect.provide(body, layer))
      })

    for (let i = 0; i < 4; i++) {
      yield* life(Math.ceil(steps / 4))
      count("lives")
    }
    return counts
  })

/** NETSY_SEED: one seed only. */
const given = process.env["NETSY_SEED"]
const seeds = given === undefined ? Array.from({ length: 12 }, (_, i) => i + 1) : [Number(given)]

describe("a random walk of one node through roles", () => {
  const total: Record<string, number> = {}
  for (const seed of seeds) {
    it.effect(
      `with seed ${seed} shows after every step what the log amounts to, and watches miss nothing`,
      () =>
        Effect.gen(function* () {
          const counts = yield* walk(seed, 120)
          for (const [what, n] of Object.entries(counts)) total[what] = (total[what] ?? 0) + n
        }),
      60_000
    )
  }
  it("has been through everything", () => {
    if (given !== undefined) return assert.isAbove(total["followed"]!, 0)
    for (const what of ["followed", "restored", "reigned", "appended", "committed", "deposed with something to lose"]) {
      assert.isAbove(total[what] ?? 0, 5, what)
    }
  })
})
