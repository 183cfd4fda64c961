/**
 * A seeded random walk over everything that the log holds beside plain keys: leases, alarms, users, compactions,
 * snapshots, with a bucket that fails, killed nodes and lost disks. What a node shows is compared with what it shows after
 * a restart, from its disk or from the bucket alone; what was answered has to be there.
 */
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { type Alarms as AlarmList, noAlarms } from "../../src/core/alarm/alarms.ts"
import { assert } from "../../src/core/assert.ts"
import { type AuthState, noAuth } from "../../src/core/auth/state.ts"
import { LeaseTable } from "../../src/core/lease/LeaseTable.ts"
import { decodeOp } from "../../src/core/log/op.ts"
import { nextAlarms, nextAuth, nextLeases } from "../../src/core/state/operations.ts"
import { errors } from "../../src/core/wire/errors.ts"
import { AlarmType, EventType, type RangeResponse, type RequestOp } from "../../src/core/wire/messages.ts"
import { Alarms } from "../../src/services/Alarms.ts"
import { Auth } from "../../src/services/Auth.ts"
import { EtcdExport } from "../../src/services/EtcdExport.ts"
import { Kv, type Reply } from "../../src/services/Kv.ts"
import { Leases } from "../../src/services/Leases.ts"
import { ReplicatedState } from "../../src/services/ReplicatedState.ts"
import { Snapshotter } from "../../src/services/Snapshotter.ts"
import { WatchHub } from "../../src/services/WatchHub.ts"
import { random } from "../wire/random.ts"
import { asEffect, bytes, makeWorld, MemoryDisk, rangeOf, type Running, startNode, type World } from "./world.ts"

const all = Uint8Array.of(0)
const none = new Uint8Array(0)
const text = (of: Uint8Array): string => Buffer.from(of).toString()
const sorted = (of: Iterable<string>): ReadonlyArray<string> => [...of].toSorted()

/** Leases of 5 s up to this end during the walk. */
const shortSecondsMax = 15

/** Who changes users while authentication is on. */
const root = { user: "root", authRevision: Number.MAX_SAFE_INTEGER }

/** Answers after which it may have happened or not. */
const unknown = new Set([errors.requestTimedOut.message, errors.serverStopped.message])

/** Runs while virtual time passes, `millis` at each look at the machine. */
const whileTimePasses =
  (millis: number, look: () => Promise<unknown>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(effect)
      for (let i = 0; i < 50 && fiber.pollUnsafe() === undefined; i++) yield* Effect.yieldNow
      while (fiber.pollUnsafe() === undefined) {
        yield* Effect.promise(look)
        yield* TestClock.adjust(millis)
      }
      return yield* Fiber.join(fiber)
    })
const passing = whileTimePasses(5, () => new Promise((resolve) => setImmediate(resolve)))
/** With files: virtual time must not run ahead of them, or leases end meanwhile. */
const working = whileTimePasses(1, () => new Promise((resolve) => setTimeout(resolve, 2)))

const alarmsText = (alarms: AlarmList): ReadonlyArray<string> =>
  sorted(alarms.map(({ alarm, memberId }) => `${memberId}/${alarm}`))

const authText = ({ enabled, revision, roles, users }: AuthState): ReadonlyArray<string> => [
  `${enabled} ${revision}`,
  ...sorted([...users.values()].map((u) => `user ${u.name} ${text(u.passwordHash)} ${u.noPassword} ${u.roles.join()}`)),
  ...sorted(
    [...roles.values()].map(
      (r) => `role ${r.name} ${r.permissions.map((p) => `${p.type}:${text(p.key)}-${text(p.rangeEnd)}`).join()}`
    )
  )
]

/** What the snapshot of this moment would say is what the node itself goes by. */
const assertSourceFits = Effect.gen(function* () {
  const state = yield* ReplicatedState
  const leases = new LeaseTable()
  let alarms = noAlarms
  let auth = noAuth
  let floor = -1
  for (const bytes of state.snapshotSource().ops) {
    const op = decodeOp(bytes)
    if (op.kind === "alarm") alarms = nextAlarms(alarms, op)
    else if (op.kind === "auth") auth = nextAuth(auth, op)
    else if (op.kind === "compaction") floor = op.revision
    else nextLeases(leases, op)
  }
  const of = (table: LeaseTable) => sorted([...table.all()].map(({ id, ttlSeconds }) => `${id} ${ttlSeconds}`))
  return [
    { leases: of(leases), alarms: alarmsText(alarms), auth: authText(auth), floor },
    {
      leases: of(state.leases),
      alarms: alarmsText(state.alarms()),
      auth: authText(state.auth()),
      floor: state.store.compactRevision
    }
  ] as const
})

const watched = (from: number, to: number) =>
  Effect.gen(function* () {
    const hub = yield* WatchHub
    if (from > to) return []
    return yield* Effect.callback<ReadonlyArray<string>>((resume) => {
      const seen: Array<string> = []
      const stream = hub.open({
        send: (response) => {
          assert(!response.canceled, `the watch from ${from} is cancelled: ${response.cancelReason}`)
          for (const { kv, type } of response.events)
            seen.push(`${kv.modRevision} ${text(kv.key)} ${type === EventType.Delete ? "-" : text(kv.value)}`)
          if (response.events.at(-1)?.kv.modRevision === to) resume(Effect.succeed(seen))
          return true
        }
      })
      stream.request({
        kind: "create",
        create: {
          key: all,
          rangeEnd: all,
          startRevision: from,
          progressNotify: false,
          filters: [],
          prevKv: false,
          watchId: 0n,
          fragment: false
        }
      })
      return Effect.sync(stream.close)
    })
  })

/** Everything that a client can see. */
const fingerprint = Effect.gen(function* () {
  const kv = yield* Kv
  const state = yield* ReplicatedState
  const leases = yield* Leases
  const { revision: head } = yield* asEffect<{ readonly revision: number }>(kv.barrier)
  const floor = Math.max(1, state.store.floor)
  const views: Array<string> = []
  for (let revision = floor; revision <= head; revision++) {
    const { kvs } = yield* asEffect<RangeResponse>((reply) => kv.range(rangeOf(all, all, revision, false), reply))
    views.push(
      `${revision}: ${kvs.map((k) => `${text(k.key)}=${text(k.value)}/${k.lease}/${k.version}/${k.createRevision}/${k.modRevision}`).join(" ")}`
    )
  }
  const held: Array<string> = []
  for (const { id, ttlSeconds } of [...state.leases.all()].toSorted((a, b) => Number(a.id - b.id)))
    held.push(`${id} ${ttlSeconds} ${state.leases.keys(id).join()}`)
  const listed = yield* asEffect<{ readonly leases: ReadonlyArray<{ readonly id: bigint }> }>(leases.list)
  return {
    views,
    held,
    listed: sorted(listed.leases.map(({ id }) => String(id))),
    hash: yield* EtcdExport.use((e) => e.hashKv(0)),
    watched: yield* watched(floor + 1, head),
    floor: state.store.compactRevision,
    alarms: alarmsText(state.alarms()),
    auth: authText(state.auth())
  }
})

export interface StateWalkReport {
  readonly restarts: number
  readonly answered: number
  readonly counts: Readonly<Record<string, number>>
}

export interface StateWalkOptions {
  readonly seed: number
  readonly rounds: number
  /** For snapshots and exports. */
  readonly folder: string
  readonly equal: (found: unknown, expected: unknown, what: string) => void
}

export const stateWalk = ({ equal, folder, rounds, seed }: StateWalkOptions) =>
  Effect.gen(function* () {
    const source = random(seed)
    const faults = source.chance(60)
    const world: World = makeWorld({
      NETSY_DATA_DIR: folder,
      NETSY_AUTH_BCRYPT_COST: "4",
      NETSY_SNAPSHOT_THRESHOLD_RECORDS: source.chance(50) ? "40" : "0",
      NETSY_SNAPSHOT_HISTORY: "0s",
      NETSY_SNAPSHOT_KEEP: "1"
    })
    const counts: Record<string, number> = {}
    const count = (what: string): void => {
      counts[what] = (counts[what] ?? 0) + 1
    }
    /** Written and answered: revision → key → value or undefined for deleted. */
    const written = new Map<number, Map<string, string | undefined>>()
    /** Long leases: answered; ended: somebody may have revoked them. */
    const granted = new Set<bigint>()
    const maybeEnded = new Set<bigint>()
    const users = new Set<string>()
    const maybeDeleted = new Set<string>()
    let nextId = 1
    let answered = 0
    let restarts = 0
    let calm = true
    world.decide = () => {
      if (calm || !faults || !source.chance(6)) return undefined
      const millis = source.int(1_500)
      const kind = source.int(4)
      return kind === 0
        ? { kind: "fail" }
        : kind === 1
          ? { kind: "lose" }
          : kind === 2
            ? { kind: "late", millis }
            : { kind: "delay", millis }
    }

    let node: Running = yield* passing(startNode(world))

    const key = (): string => `k${source.int(8)}`
    const lease = (): bigint =>
      source.chance(40) || nextId === 1
        ? 0n
        : BigInt(1 + source.int(Math.min(nextId - 1, 12)) + Math.max(0, nextId - 13))
    const putOf = (name: string, value: string, id: bigint) => ({
      key: bytes(name),
      value: bytes(value),
      lease: id,
      prevKv: false,
      ignoreValue: false,
      ignoreLease: false
    })
    const remember = (revision: number, changes: ReadonlyArray<readonly [string, string | undefined]>): void => {
      written.set(revision, new Map(changes))
    }

    /** One call; whatever comes of it is noted when it is answered. */
    const operation = Effect.gen(function* () {
      const kv = yield* Kv
      const leases = yield* Leases
      const alarms = yield* Alarms
      const auth = yield* Auth
      const state = yield* ReplicatedState
      const at = source.int(100)
      const value = `v${nextId}.${source.int(1_000_000)}`
      const ask = <A>(what: string, call: (reply: Reply<A>) => void) => {
        count(what)
        return asEffect<A>(call)
      }
      if (at < 25) {
        const name = key()
        const id = lease()
        const { header } = yield* ask<{ header: { revision: number } | undefined }>("put", (reply) =>
          kv.put(putOf(name, value, id), reply)
        )
        remember(header!.revision, [[name, value]])
      } else if (at < 35) {
        const [a, b, c] = ["k0", "k3", "k6"]
        const success: ReadonlyArray<RequestOp> = [
          { kind: "put", put: putOf(a!, value, lease()) },
          { kind: "deleteRange", deleteRange: { key: bytes(b!), rangeEnd: none, prevKv: true } },
          { kind: "put", put: putOf(c!, value, 0n) }
        ]
        const { header } = yield* ask<{ header: { revision: number } | undefined }>("txn", (reply) =>
          kv.txn({ compare: [], success, failure: [] }, reply)
        )
        remember(header!.revision, [
          [a!, value],
          [b!, undefined],
          [c!, value]
        ])
      } else if (at < 42) {
        const name = key()
        const { deleted, header } = yield* ask<{ deleted: number; header: { revision: number } | undefined }>(
          "delete",
          (reply) => kv.deleteRange({ key: bytes(name), rangeEnd: none, prevKv: false }, reply)
        )
        if (deleted > 0) remember(header!.revision, [[name, undefined]])
      } else if (at < 57) {
        const long = source.chance(50)
        const id = BigInt(nextId++)
        const ttl = long ? 100_000 : 5 + source.int(shortSecondsMax - 4)
        yield* ask("grant", (reply) => leases.grant({ id, ttl }, reply))
        if (long) granted.add(id)
      } else if (at < 65) {
        const id = lease()
        maybeEnded.add(id)
        yield* ask("revoke", (reply) => leases.revoke({ id }, reply))
      } else if (at < 73) {
        const floor = Math.max(0, state.store.floor)
        const revision = source.chance(10) ? 0 : floor + source.int(Math.max(1, kv.headRevision() - floor + 1))
        yield* ask("compact", (reply) => kv.compact({ revision, physical: source.chance(50) }, reply))
      } else if (at < 77) {
        const alarm = { memberId: BigInt(1 + source.int(3)), alarm: AlarmType.NoSpace }
        // Not for long: nothing else would be written.
        yield* ask("alarm", (reply) => alarms.activate(alarm, reply))
        yield* ask("disarm", (reply) => alarms.deactivate(alarm, reply))
      } else if (at < 90) {
        const user = `u${source.int(6)}`
        const role = `r${source.int(4)}`
        const what = source.int(11)
        if (what === 0 || what === 1) {
          const name = `own${nextId++}`
          yield* ask("userAdd", (reply) => auth.userAdd({ name, password: "", noPassword: true }, root, reply))
          users.add(name)
          if (source.chance(30)) {
            maybeDeleted.add(name)
            yield* ask("userDelete", (reply) => auth.userDelete(name, reply))
          }
        } else if (what === 2)
          yield* ask("userAdd", (reply) => auth.userAdd({ name: user, password: "p", noPassword: false }, root, reply))
        else if (what === 3) yield* ask("roleAdd", (reply) => auth.roleAdd(role, reply))
        else if (what === 4) yield* ask("grantRole", (reply) => auth.userGrantRole(user, role, reply))
        else if (what === 5)
          yield* ask("grantPermission", (reply) =>
            auth.roleGrantPermission(
              role,
              { type: source.int(3), key: bytes(key()), rangeEnd: source.chance(50) ? none : all },
              reply
            )
          )
        else if (what === 6)
          yield* ask("revokePermission", (reply) => auth.roleRevokePermission(role, bytes(key()), none, reply))
        else if (what === 7) yield* ask("roleDelete", (reply) => auth.roleDelete(role, reply))
        else if (what === 8) {
          const rootUser = { name: "root", password: "", noPassword: true }
          yield* Effect.ignore(ask("userAdd", (reply) => auth.userAdd(rootUser, root, reply)))
          yield* ask("grantRole", (reply) => auth.userGrantRole("root", "root", reply))
          yield* ask("enable", (reply) => auth.enable(reply))
        } else if (what === 9) yield* ask("disable", (reply) => auth.disable(reply))
        else yield* ask("userDelete", (reply) => auth.userDelete(user, reply))
      } else if (at < 94) {
        count("snapshot")
        yield* Effect.ignore(Snapshotter.use((s) => s.take))
      } else if (at < 97) {
        count("hash")
        yield* Effect.ignore(EtcdExport.use((e) => e.hash))
      } else {
        const { revision } = yield* ask<{ revision: number }>("barrier", kv.barrier)
        for (const known of written.keys()) assert(known <= revision || calm === false, "a barrier is behind an answer")
      }
      answered++
    }).pipe(
      Effect.catch((error: { readonly message: string }) =>
        Effect.sync(() => count(unknown.has(error.message) ? "unknown" : `refused: ${error.message}`))
      )
    )

    const checkAnswered = (found: Effect.Success<typeof fingerprint>): void => {
      const views = new Map(found.views.map((view) => [Number(view.split(":")[0]), ` ${view.split(": ")[1] ?? ""}`]))
      const first = Math.min(...views.keys())
      const last = Math.max(...views.keys())
      for (const [revision, changes] of written) {
        if (revision < first) {
          written.delete(revision)
          continue
        }
        assert(revision <= last, `revision ${revision} was answered, ${last} is the last`)
        for (const [name, value] of changes) {
          const there = views.get(revision)!.includes(value === undefined ? ` ${name}=` : ` ${name}=${value}/`)
          assert(
            there === (value !== undefined),
            `revision ${revision}: ${name}=${value}, shown ${views.get(revision)}`
          )
        }
      }
      const listed = new Set(found.listed)
      for (const id of granted) assert(maybeEnded.has(id) || listed.has(String(id)), `lease ${id} is gone`)
      const names = new Set(found.auth.filter((line) => line.startsWith("user ")).map((line) => line.split(" ")[1]!))
      for (const name of users) assert(maybeDeleted.has(name) || names.has(name), `user ${name} is gone`)
    }

    const look = (what: string) =>
      Effect.gen(function* () {
        const [source, own] = yield* node.use(assertSourceFits)
        equal(source, own, `${what}: what a snapshot says`)
        const found = yield* passing(node.use(fingerprint))
        checkAnswered(found)
        return found
      })

    for (let round = 0; round < rounds; round++) {
      calm = false
      const calls = Array.from({ length: 10 + source.int(60) }, () =>
        Effect.delay(
          Effect.suspend(() => node.use(operation)),
          source.int(400)
        )
      )
      const fiber = yield* Effect.forkChild(Effect.all(calls, { concurrency: 8, discard: true }))
      const breaks = source.chance(50)
      if (breaks) {
        yield* passing(Effect.sleep(source.int(1_500)))
        yield* node.kill
        yield* Fiber.interrupt(fiber)
      } else yield* passing(Fiber.join(fiber))
      calm = true
      if (breaks) {
        // All leases have their whole time, so that none ends while the node is looked at.
        if (source.chance(40)) world.disk = new MemoryDisk()
        restarts++
        node = yield* passing(startNode(world))
      } else yield* passing(Effect.sleep(shortSecondsMax * 1_000 + 6_000))
      const before = yield* look(`round ${round}`)
      for (const end of source.chance(50) ? ["keep", "lose"] : ["lose", "keep"]) {
        if (source.chance(30)) yield* working(Effect.ignore(node.use(Snapshotter.use((s) => s.take))))
        yield* source.chance(50) ? working(node.stop) : node.kill
        if (end === "lose") world.disk = new MemoryDisk()
        restarts++
        node = yield* passing(startNode(world))
        equal(yield* look(`round ${round}, ${end}`), before, `round ${round}, ${end} the disk`)
      }
    }
    yield* passing(node.stop)
    return { restarts, answered, counts } satisfies StateWalkReport
  })
