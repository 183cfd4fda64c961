/** A store of a few lines with its history, a receiver that can be slow, and a hub between the two. */
import { Effect, Layer } from "effect"
import { emptyBytes, type LogRecord } from "../../src/core/log/record.ts"
import type { KeyValue, WatchCreateRequest, WatchResponse } from "../../src/core/wire/messages.ts"
import * as SupervisorFatal from "../../src/layers/SupervisorFatal.ts"
import * as WatchHubHistory from "../../src/layers/WatchHubHistory.ts"
import { LocalStore } from "../../src/services/LocalStore.ts"
import { NodeStatus } from "../../src/services/NodeStatus.ts"
import { Settings, type SettingsShape } from "../../src/services/Settings.ts"
import type { Change, WatchSink } from "../../src/services/WatchHub.ts"
import { anyPorts, embeddedSettings } from "../config/embedded.ts"

export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"))
export const text = (of: Uint8Array): string => Buffer.from(of).toString("latin1")

export interface Op {
  readonly key: string
  /** Undefined: delete. */
  readonly value: string | undefined
}

/** Everything that ever happened, and what compaction left of it. */
export class World {
  revision = 1
  floor = 0
  /** The disk holds nothing: its contents are being replaced. */
  restoring = false
  readonly live = new Map<string, LogRecord>()
  readonly changes: Array<Change> = []
  diskReads = 0
  versionReads = 0

  /** One Txn; deletes of absent keys change nothing. Undefined when it took no revision. */
  write(ops: ReadonlyArray<Op>): { readonly revision: number; readonly changes: ReadonlyArray<Change> } | undefined {
    const revision = this.revision + 1
    const changes: Array<Change> = []
    const earlier = new Map<string, LogRecord | undefined>()
    for (const { key, value } of ops) {
      const before = this.live.get(key)
      if (!earlier.has(key)) earlier.set(key, before)
      if (value === undefined && before === undefined) continue
      const record: LogRecord = {
        index: revision,
        term: 1,
        sub: changes.length,
        revision,
        key: bytes(key),
        created: before === undefined,
        deleted: value === undefined,
        createRevision: value === undefined ? 0 : (before?.createRevision ?? revision),
        prevRevision: before?.revision ?? 0,
        version: value === undefined ? 0 : (before?.version ?? 0) + 1,
        lease: 0n,
        dek: 0,
        value: value === undefined ? emptyBytes : bytes(value),
        createdAt: undefined,
        compactedAt: undefined,
        leaderId: "node-1",
        replicatedAt: undefined,
        op: undefined
      }
      // What is shown as previous is from before the transaction.
      const shown = before === undefined ? undefined : earlier.get(key)
      changes.push({ record, previous: shown === undefined ? undefined : keyValue(shown) })
      if (value === undefined) this.live.delete(key)
      else this.live.set(key, record)
    }
    if (changes.length === 0) return undefined
    this.revision = revision
    this.changes.push(...changes)
    return { revision, changes }
  }

  /** What the disk still has: rule C2. */
  stored(): ReadonlyArray<LogRecord> {
    const newest = new Map<string, LogRecord>()
    for (const { record } of this.changes) if (record.revision <= this.floor) newest.set(text(record.key), record)
    return this.changes.flatMap(({ record }) => {
      const kept =
        record.revision > this.floor ||
        (newest.get(text(record.key)) === record && (!record.deleted || record.revision === this.floor))
      return kept ? [record] : []
    })
  }
}

export const keyValue = (record: LogRecord): KeyValue => ({
  key: record.key,
  createRevision: record.createRevision,
  modRevision: record.revision,
  version: record.version,
  value: record.value,
  lease: record.lease
})

/** Takes `room` messages, then says that it is full until `drain`. */
export class Receiver implements WatchSink {
  readonly messages: Array<WatchResponse> = []
  room: number
  refusals = 0

  constructor(room: number) {
    this.room = room
  }

  send = (response: WatchResponse): boolean => {
    // A hub that sends to a full receiver is wrong, and every test fails on it.
    if (this.room <= 0) throw new Error("sent to a receiver that was full")
    this.messages.push(response)
    if (--this.room > 0) return true
    this.refusals++
    return false
  }
}

export const create = (request: Partial<WatchCreateRequest> & { readonly key: Uint8Array }) => ({
  kind: "create" as const,
  create: {
    rangeEnd: emptyBytes,
    startRevision: 0,
    progressNotify: false,
    filters: [],
    prevKv: false,
    watchId: 0n,
    fragment: false,
    ...request
  }
})

/** The part of the store that watches use, read with the delays of a disk. */
const localStore = (world: World): Pick<LocalStore["Service"], "bounds" | "changes" | "versions"> => ({
  bounds: Effect.sync(() => ({
    last: { index: world.revision, term: 1 },
    lastRevision: world.restoring ? 0 : world.revision,
    firstIndex: 1,
    floor: world.restoring ? 0 : world.floor,
    commitIndex: world.revision
  })),
  changes: (from, to, maxBytes) =>
    Effect.gen(function* () {
      world.diskReads++
      yield* Effect.yieldNow
      const found: Array<LogRecord> = []
      let size = 0
      for (const record of world.restoring ? [] : world.stored()) {
        if (record.revision < from || record.revision > to) continue
        if (size >= maxBytes && record.revision !== found.at(-1)?.revision) break
        found.push(record)
        size += record.key.length + record.value.length
      }
      yield* Effect.yieldNow
      return found
    }),
  versions: (wanted) =>
    Effect.gen(function* () {
      world.versionReads++
      yield* Effect.yieldNow
      const stored = world.restoring ? [] : world.stored()
      return wanted.map(({ key, revision }) =>
        stored.find((record) => record.revision === revision && Buffer.compare(record.key, key) === 0)
      )
    })
})

const nodeStatus: NodeStatus["Service"] = {
  clusterId: 7n,
  memberId: () => 8n,
  leaderMemberId: () => 8n,
  term: () => 1,
  health: () => "healthy",
  elector: () => "leader",
  primary: () => "active",
  waiting: () => undefined,
  troubles: () => [],
  header: (revision) => ({ clusterId: 7n, memberId: 8n, revision, raftTerm: 1 }),
  setMember: () => {},
  setTerm: () => {},
  setLoaded: () => {},
  setElector: () => {},
  setPrimary: () => {},
  setWaiting: () => {},
  setTrouble: () => {}
}

const settings = (change: Partial<SettingsShape>): SettingsShape => ({
  ...embeddedSettings(),
  bind: anyPorts,
  ...change
})

export const hub = (world: World, change: Partial<SettingsShape> = {}) =>
  WatchHubHistory.layer.pipe(
    Layer.provide(Layer.sync(LocalStore, () => localStore(world) as LocalStore["Service"])),
    Layer.provide(Layer.succeed(NodeStatus, nodeStatus)),
    Layer.provide(Layer.succeed(Settings, settings(change))),
    Layer.provideMerge(SupervisorFatal.layer)
  )

/** Lets the catch-up task work until it has nothing more to do for receivers that take data. */
export const settle = (turns = 200) => Effect.repeat(Effect.yieldNow, { times: turns })
