/** What each part above the state does, and does not do, in either role and when the role changes. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { firstEntry, opEntry } from "../../src/core/log/entry.ts"
import { AlarmAction, encodeOp, type Op } from "../../src/core/log/op.ts"
import type { Entry } from "../../src/core/log/record.ts"
import type { LeaseKeepAliveResponse, LeaseTimeToLiveResponse } from "../../src/core/wire/codec/lease.ts"
import { type EtcdError, errors } from "../../src/core/wire/errors.ts"
import { AlarmType } from "../../src/core/wire/messages.ts"
import { MemoryDisk } from "../../src/layers/LocalStoreMemory.ts"
import { Alarms } from "../../src/services/Alarms.ts"
import { Auth } from "../../src/services/Auth.ts"
import { AuthTokens } from "../../src/services/AuthTokens.ts"
import { Kv, type Reply } from "../../src/services/Kv.ts"
import { Leases } from "../../src/services/Leases.ts"
import { LocalStore } from "../../src/services/LocalStore.ts"
import { ReplicatedState } from "../../src/services/ReplicatedState.ts"
import { deleteRequest, putRequest, rangeRequest } from "../mvcc/requests.ts"
import { makeNode, outcomeOf, settle } from "./world.ts"

type Node = ReturnType<typeof makeNode>
type Services = Layer.Success<Node["layer"]>

const first = firstEntry({ term: 1, leaderId: "node-2", createdAt: undefined })

/** An operation of a Primary elsewhere, as the entry at the index. */
const operation = (index: number, op: Op, { revision = 1, term = 1 } = {}): Entry =>
  opEntry({ index, term, revision, leaderId: "node-2", createdAt: undefined }, encodeOp(op))

const grant = (index: number, id: bigint, ttlSeconds: number, remainingTtlSeconds = 0): Entry =>
  operation(index, { kind: "leaseGrant", id, ttlSeconds, remainingTtlSeconds })

/** A Replica whose log holds the first entry. */
const onReplica = <A, E>(body: (node: Node) => Effect.Effect<A, E, Services>) =>
  Effect.suspend(() => {
    const node = makeNode()
    const all = Effect.gen(function* () {
      // Built by now.
      yield* ReplicatedState
      yield* node.replicator.follow([first], 1)
      return yield* body(node)
    })
    return Effect.provide(all, node.layer)
  })

const reign = ({ replicator }: Node) =>
  Effect.map(replicator.takeOver(1), () => replicator.activate({ head: { index: replicator.headIndex, term: 2 } }))

/** A stream of keep-alives that notes what it gets. */
const keepAlives = Leases.use((leases) =>
  Effect.sync(() => {
    const answers: Array<LeaseKeepAliveResponse> = []
    const ends: Array<EtcdError | undefined> = []
    const stream = leases.keepAlives({
      send: (answer) => answers.push(answer) > 0,
      ended: (error) => ends.push(error)
    })
    return { stream, answers, ends }
  })
)

const timeToLive = (id: bigint) =>
  Leases.use((leases) =>
    Effect.sync(() => outcomeOf<LeaseTimeToLiveResponse>((reply) => leases.timeToLive({ id, keys: true }, reply)))
  )

describe("a Replica", () => {
  it.effect("takes no write of any kind and says that there is no leader", () =>
    onReplica(({ replicator }) =>
      Effect.gen(function* () {
        const kv = yield* Kv
        const leases = yield* Leases
        const alarms = yield* Alarms
        const auth = yield* Auth
        // Nor does it judge by a state that may be old.
        const corrupt = { kind: "alarm", memberId: 7n, type: AlarmType.Corrupt, action: AlarmAction.Activate } as const
        const writes: ReadonlyArray<readonly [string, (reply: Reply<unknown>) => void]> = [
          ["put", (reply) => kv.put(putRequest("a", "1"), reply)],
          ["deleteRange", (reply) => kv.deleteRange(deleteRequest("a"), reply)],
          ["compact", (reply) => kv.compact({ revision: 1, physical: true }, reply)],
          [
            "txn",
            (reply) =>
              kv.txn({ compare: [], success: [{ kind: "put", put: putRequest("a", "1") }], failure: [] }, reply)
          ],
          ["grant", (reply) => leases.grant({ id: 1n, ttl: 100 }, reply)],
          ["revoke", (reply) => leases.revoke({ id: 99n }, reply)],
          ["list", (reply) => leases.list(reply)],
          ["timeToLive", (reply) => leases.timeToLive({ id: 1n, keys: false }, reply)],
          ["activate", (reply) => alarms.activate({ memberId: 7n, alarm: AlarmType.NoSpace }, reply)],
          ["deactivate", (reply) => alarms.deactivate({ memberId: 7n, alarm: AlarmType.NoSpace }, reply)],
          ["enable", (reply) => auth.enable(reply)],
          ["userDelete", (reply) => auth.userDelete("nobody", reply)],
          ["userAdd", (reply) => auth.userAdd({ name: "u", password: "p", noPassword: false }, undefined, reply)],
          [
            "userChangePassword",
            (reply) => auth.userChangePassword({ name: "u", password: "p", hashedPassword: "" }, undefined, reply)
          ]
        ]
        for (const round of ["without alarms", "corrupt"]) {
          for (const [what, write] of writes) {
            assert.deepStrictEqual(outcomeOf(write).error, errors.noLeader, `${what}, ${round}`)
          }
          yield* replicator.follow([operation(replicator.headIndex + 1, corrupt)], replicator.headIndex + 1)
        }
      })
    )
  )

  it.effect("asks before it tells what alarms and users there are, and tells what has come meanwhile", () =>
    onReplica(({ replicator }) =>
      Effect.gen(function* () {
        const alarms = yield* Alarms
        const auth = yield* Auth
        replicator.mayAcknowledge = false
        const listed = outcomeOf<ReadonlyArray<unknown>>((reply) => alarms.list(AlarmType.None, reply))
        const roles = outcomeOf<{ readonly roles: ReadonlyArray<string> }>((reply) => auth.roleList(reply))
        const raised = { kind: "alarm", memberId: 7n, type: AlarmType.NoSpace, action: AlarmAction.Activate } as const
        const role = { kind: "auth", auth: { authRevision: 2, change: { kind: "roleAdd", name: "r" } } } as const
        yield* replicator.follow([operation(2, raised), operation(3, role)], 3)
        assert.isUndefined(listed.answer)
        for (const waiter of replicator.reads.splice(0)) waiter.done()
        assert.lengthOf(listed.answer!, 1)
        assert.deepStrictEqual(roles.answer?.roles, ["r"])
      })
    )
  )

  it.effect("that became Primary while it asked shows nothing that is not committed", () =>
    onReplica((node) =>
      Effect.gen(function* () {
        const { replicator } = node
        const auth = yield* Auth
        replicator.mayAcknowledge = false
        const roles = outcomeOf<{ readonly roles: ReadonlyArray<string> }>((reply) => auth.roleList(reply))
        yield* reign(node)
        outcomeOf((reply: Reply<unknown>) => auth.roleAdd("r", reply))
        replicator.mayAcknowledge = true
        for (const waiter of replicator.reads.splice(0)) waiter.done()
        assert.strictEqual(roles.answer, undefined)
        yield* replicator.commit(replicator.headIndex)
        assert.deepStrictEqual(roles.answer?.roles, ["r"])
      })
    )
  )

  it.effect("forgets the tokens of users that are gone", () =>
    onReplica(({ replicator }) =>
      Effect.gen(function* () {
        const tokens = yield* AuthTokens
        const made: Array<string> = []
        for (const name of ["gone", "here"]) {
          tokens.assign(
            name,
            1,
            1,
            (token) => made.push(token),
            () => {}
          )
        }
        const change = { kind: "userDelete", name: "gone" } as const
        yield* replicator.follow([operation(2, { kind: "auth", auth: { authRevision: 2, change } })], 2)
        const known = made.map((token) => {
          let user: string | undefined
          tokens.holder(
            token,
            (holder) => (user = holder.user),
            () => {}
          )
          return user
        })
        assert.deepStrictEqual(known, [undefined, "here"])
      })
    )
  )

  it.effect("keeps what it shows when its log was left shorter, and goes on where that is passed", () =>
    onReplica(({ replicator }) =>
      Effect.gen(function* () {
        const state = yield* ReplicatedState
        const local = yield* LocalStore
        const entries = [grant(2, 1n, 100), grant(3, 2n, 100), grant(4, 3n, 100)]
        yield* replicator.follow(entries.slice(0, 2), 3)
        yield* local.clear
        yield* replicator.machine.load(0)
        assert.isTrue(state.leases.has(2n))
        replicator.committed = { index: 0, term: 0 }
        yield* replicator.follow([first, ...entries.slice(0, 1)], 2)
        yield* replicator.follow(entries.slice(1), 4)
        assert.deepStrictEqual(
          [...state.leases.all()].map(({ id }) => id),
          [1n, 2n, 3n]
        )
        assert.strictEqual(state.snapshotSource().index, 4)
      })
    )
  )

  it.effect("does not keep operations of ten thousands of entries on its disk, once the bucket has them", () =>
    onReplica(({ replicator }) =>
      Effect.gen(function* () {
        const local = yield* LocalStore
        const state = yield* ReplicatedState
        const total = 70_000
        for (let from = 2; from <= total; from += 10_000) {
          const page = Array.from({ length: Math.min(10_000, total - from + 1) }, (_, i) => {
            const index = from + i
            return index % 2 === 0 ? grant(index, 5n, 60) : operation(index, { kind: "leaseRevoke", id: 5n })
          })
          yield* replicator.follow(page, from + page.length - 1)
        }
        yield* TestClock.adjust(2_000)
        assert.strictEqual((yield* local.bounds).firstIndex, 1)
        replicator.machine.stored(60_000)
        yield* TestClock.adjust(2_000)
        const { firstIndex } = yield* local.bounds
        assert.isAbove(firstIndex, 30_000)
        assert.isBelow(firstIndex, 60_000)
        assert.isTrue(state.leases.has(5n))
      })
    )
  )
})

describe("leases", () => {
  it.effect("end by nobody but the Active Primary, and begin anew with each reign", () =>
    onReplica((node) =>
      Effect.gen(function* () {
        const { replicator } = node
        const state = yield* ReplicatedState
        yield* replicator.follow([grant(2, 1n, 10), grant(3, 2n, 60, 30)], 3)
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(replicator.headIndex, 3)
        assert.deepStrictEqual((yield* timeToLive(1n)).error, errors.noLeader)
        yield* reign(node)
        assert.strictEqual((yield* timeToLive(1n)).answer?.ttl, 10)
        // As last checkpointed.
        assert.strictEqual((yield* timeToLive(2n)).answer?.ttl, 30)
        yield* TestClock.adjust("9 seconds")
        yield* replicator.depose()
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(replicator.headIndex, 4)
        yield* reign(node)
        assert.strictEqual((yield* timeToLive(1n)).answer?.ttl, 10)
        yield* TestClock.adjust("9 seconds")
        assert.strictEqual(replicator.headIndex, 5)
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(replicator.headIndex, 6)
        assert.isFalse(state.leases.has(1n))
        yield* replicator.depose()
        // The revocation was not committed.
        assert.isTrue(state.leases.has(1n))
      })
    )
  )

  it.effect("run out where the right to answer takes a moment to come", () =>
    onReplica((node) =>
      Effect.gen(function* () {
        const { replicator } = node
        yield* replicator.follow([grant(2, 1n, 3)], 2)
        yield* reign(node)
        replicator.mayAcknowledge = false
        for (let millis = 0; millis < 5_000; millis += 20) {
          yield* TestClock.adjust(17)
          for (const waiter of replicator.reads.splice(0)) waiter.done()
          yield* TestClock.adjust(3)
        }
        assert.strictEqual(replicator.headIndex, 4)
      })
    )
  )

  it.effect("a keep-alive that waits for a lease to end is told when the reign ends", () =>
    onReplica((node) =>
      Effect.gen(function* () {
        const { replicator } = node
        yield* replicator.follow([grant(2, 1n, 3)], 2)
        yield* reign(node)
        const { answers, ends, stream } = yield* keepAlives
        stream.renew(1n)
        assert.strictEqual(answers[0]?.ttl, 3)
        yield* TestClock.adjust("4 seconds")
        stream.renew(1n)
        assert.deepStrictEqual([answers.length, ends.length], [1, 0])
        yield* replicator.depose()
        assert.deepStrictEqual(ends, [errors.noLeader])
        assert.lengthOf(answers, 1)
        const late = yield* keepAlives
        late.stream.renew(1n)
        assert.deepStrictEqual(late.ends, [errors.noLeader])
      })
    )
  )

  it.effect("a keep-alive that waits for the right to answer is told that its time is over", () =>
    onReplica((node) =>
      Effect.gen(function* () {
        const { replicator } = node
        yield* replicator.follow([grant(2, 1n, 30)], 2)
        yield* reign(node)
        replicator.mayAcknowledge = false
        const { answers, ends, stream } = yield* keepAlives
        stream.renew(1n)
        yield* replicator.depose()
        assert.deepStrictEqual([answers.length, ends], [0, [errors.requestTimedOut]])
      })
    )
  )

  it.effect("keys of a lease whose revocation was lost belong to it again", () =>
    onReplica((node) =>
      Effect.gen(function* () {
        const { replicator } = node
        const state = yield* ReplicatedState
        const kv = yield* Kv
        const leases = yield* Leases
        yield* replicator.follow([grant(2, 1n, 30)], 2)
        yield* reign(node)
        for (const key of ["a", "b"]) {
          outcomeOf((reply: Reply<unknown>) => kv.put(putRequest(key, "v", { lease: 1n }), reply))
        }
        yield* replicator.commit(replicator.headIndex)
        const revoked = outcomeOf((reply: Reply<unknown>) => leases.revoke({ id: 1n }, reply))
        const again = outcomeOf((reply: Reply<unknown>) => leases.grant({ id: 1n, ttl: 50 }, reply))
        outcomeOf((reply: Reply<unknown>) => kv.put(putRequest("c", "v", { lease: 1n }), reply))
        assert.deepStrictEqual(state.leases.keys(1n), ["c"])
        yield* replicator.depose()
        assert.deepStrictEqual([revoked.error, again.error], [errors.requestTimedOut, errors.requestTimedOut])
        assert.deepStrictEqual(state.leases.keys(1n), ["a", "b"])
        assert.strictEqual(state.leases.get(1n)?.ttlSeconds, 30)
        assert.strictEqual(state.store.headRevision, state.store.committedRevision)
      })
    )
  )
})

describe("compaction and snapshots", () => {
  const compacting = Effect.gen(function* () {
    const kv = yield* Kv
    for (const value of ["1", "2", "3"]) outcomeOf((reply: Reply<unknown>) => kv.put(putRequest("a", value), reply))
    return outcomeOf((reply: Reply<unknown>) => kv.compact({ revision: 4, physical: true }, reply))
  })

  it.effect("a physical compaction is answered when the disk is done, at once where the bucket has everything", () =>
    onReplica((node) =>
      Effect.gen(function* () {
        const { replicator } = node
        const local = yield* LocalStore
        yield* reign(node)
        const compacted = yield* compacting
        replicator.machine.stored(100)
        yield* replicator.commit(replicator.headIndex)
        yield* settle
        yield* TestClock.adjust(1)
        assert.isDefined(compacted.answer)
        assert.strictEqual((yield* local.bounds).floor, 4)
      })
    )
  )

  it.effect("and after a second where the bucket lags; readers see the floor at once", () =>
    onReplica((node) =>
      Effect.gen(function* () {
        const { replicator } = node
        const local = yield* LocalStore
        const kv = yield* Kv
        yield* reign(node)
        const compacted = yield* compacting
        yield* replicator.commit(replicator.headIndex)
        yield* TestClock.adjust(500)
        const old = outcomeOf((reply: Reply<unknown>) => kv.range(rangeRequest("a", "", { revision: 3 }), reply))
        assert.deepStrictEqual(old.error, errors.compacted)
        assert.isUndefined(compacted.answer)
        yield* TestClock.adjust(600)
        assert.isDefined(compacted.answer)
        assert.strictEqual((yield* local.bounds).floor, 0)
        replicator.machine.stored(replicator.committed.index)
        yield* TestClock.adjust(1)
        assert.strictEqual((yield* local.bounds).floor, 4)
      })
    )
  )

  it.effect("who waits for a compaction that is lost with the reign is told", () =>
    onReplica((node) =>
      Effect.gen(function* () {
        const { replicator } = node
        const state = yield* ReplicatedState
        yield* reign(node)
        const compacted = yield* compacting
        assert.strictEqual(state.store.headCompactRevision, 4)
        yield* replicator.depose()
        assert.deepStrictEqual(compacted.error, errors.requestTimedOut)
        assert.strictEqual(state.store.headCompactRevision, -1)
        // Another Primary's compaction at the same index is nobody's here.
        const at = replicator.committed.index + 1
        yield* replicator.truncateFrom(at)
        yield* replicator.follow([operation(at, { kind: "compaction", revision: 1, physical: true }, { term: 2 })], at)
        yield* TestClock.adjust(2_000)
        assert.isUndefined(compacted.answer)
      })
    )
  )

  it.effect("snapshots are taken of a reign, and at the stop of an Active Primary only", () =>
    Effect.gen(function* () {
      const events: Array<ReadonlyArray<string>> = []
      for (const end of ["active", "replica"]) {
        const node = makeNode(new MemoryDisk())
        const { replicator, snapshots } = node
        const scope = yield* Scope.make()
        const body = Effect.gen(function* () {
          yield* ReplicatedState
          yield* replicator.follow([first], 1)
          yield* reign(node)
          const kv = yield* Kv
          outcomeOf((reply: Reply<unknown>) => kv.put(putRequest("a", "1"), reply))
          yield* replicator.commit(3)
          if (end === "replica") {
            yield* replicator.depose()
            yield* replicator.follow([operation(4, { kind: "noOp" }, { revision: 2, term: 2 })], 4)
          }
        })
        const context = yield* Layer.buildWithScope(node.layer, scope)
        yield* Effect.provide(body, context)
        yield* Scope.close(scope, Exit.void)
        events.push(snapshots.events)
      }
      assert.deepStrictEqual(events, [
        ["begin 2", "committed 3", "at stop"],
        ["begin 2", "committed 3", "rest"]
      ])
    })
  )
})
