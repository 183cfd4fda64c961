/**
 * `Kv` over the replicated state: reads in either role; writes, on the Primary, are evaluated against head and appended to
 * the log, and answered when that is committed.
 */
import { Effect, Layer } from "effect"
import { isActive } from "../core/alarm/alarms.ts"
import { checkCompact } from "../core/mvcc/compact.ts"
import { coldOf, fillCold, keyValue, rangeResponse, withValues } from "../core/mvcc/range.ts"
import type { RangeCursor } from "../core/mvcc/cursor.ts"
import { checkDeleteRange, checkPut, checkRange, checkTxn } from "../core/txn/check.ts"
import { txnCost } from "../core/txn/cost.ts"
import { evaluateDeleteRange, evaluatePut } from "../core/txn/evaluate.ts"
import { evaluateTxn, fillTxn, isReadOnlyTxn, isSerializableTxn, readTxn, type TxnOutcome } from "../core/txn/txn.ts"
import { type EtcdError, errors, isEtcdError } from "../core/wire/errors.ts"
import {
  AlarmType,
  type CompactionRequest,
  type RangeRequest,
  type RangeResponse,
  type TxnRequest,
  type TxnResponse
} from "../core/wire/messages.ts"
import { Kv, type RangeReader, type Reply } from "../services/Kv.ts"
import { NodeStatus } from "../services/NodeStatus.ts"
import { ReplicatedState } from "../services/ReplicatedState.ts"
import { Settings } from "../services/Settings.ts"

export const layer: Layer.Layer<Kv, never, ReplicatedState | Settings | NodeStatus> = Layer.effect(
  Kv,
  Effect.gen(function* () {
    const state = yield* ReplicatedState
    const settings = yield* Settings
    const status = yield* NodeStatus
    const { guarded, readCold, store } = state
    const limits = { maxTxnOps: settings.limits.maxTxnOps }

    /** An error that depends on the state at head is an answer too: it waits until that state is committed. */
    const refuse = <A>(reply: Reply<A>, error: EtcdError): void =>
      state.whenHeadReadable({ done: () => reply.fail(error), failed: reply.fail })

    /** Rules of 2.8: a damaged cluster serves nothing, a full one takes nothing in. */
    const stopped = (adds: boolean): EtcdError | undefined => {
      const alarms = state.alarms()
      if (alarms.length === 0) return undefined
      if (isActive(alarms, AlarmType.Corrupt)) return errors.corrupt
      return adds && isActive(alarms, AlarmType.NoSpace) ? errors.noSpace : undefined
    }

    const answerRange = (request: RangeRequest, reply: Reply<RangeResponse>): void => {
      const outcome = store.range(request, store.committedRevision)
      if (isEtcdError(outcome)) return reply.fail(outcome)
      if (outcome.cold.length === 0) return reply.succeed(rangeResponse(outcome, status.header(outcome.revision)))
      readCold(reply, outcome.cold, (values) => {
        const filled = fillCold(outcome, values)
        if (isEtcdError(filled)) reply.fail(filled)
        else reply.succeed(rangeResponse(filled, status.header(filled.revision)))
      })
    }

    /** Calls back when the request may be answered from the committed state. */
    const whenCommittedReadable = <A>(serializable: boolean, reply: Reply<A>, answer: () => void): void => {
      const refused = stopped(false)
      if (refused !== undefined) return reply.fail(refused)
      if (serializable) return answer()
      state.whenReadable(state.commitIndex(), { done: () => guarded(reply, answer), failed: reply.fail })
    }

    const range = (request: RangeRequest, reply: Reply<RangeResponse>): void =>
      guarded(reply, () => {
        const refused = checkRange(request)
        if (refused !== undefined) return reply.fail(refused)
        whenCommittedReadable(request.serializable, reply, () => answerRange(request, reply))
      })

    const readerOf = (cursor: RangeCursor): RangeReader => ({
      header: status.header(cursor.revision),
      count: cursor.count,
      more: cursor.more,
      next: (maxKeys, reply) =>
        guarded(reply, () => {
          const versions = cursor.next(maxKeys)
          if (isEtcdError(versions)) return reply.fail(versions)
          const cold = coldOf(versions, cursor.request)
          const answer = (values: ReadonlyArray<Uint8Array | undefined>): void => {
            const whole = withValues(versions, cold, values)
            if (isEtcdError(whole)) reply.fail(whole)
            else reply.succeed({ kvs: whole.map((version) => keyValue(version, cursor.request)), done: cursor.done })
          }
          if (cold.length === 0) answer([])
          else readCold(reply, cold, answer)
        })
    })

    const openRange = (request: RangeRequest, reply: Reply<RangeReader>): void =>
      guarded(reply, () => {
        const refused = checkRange(request)
        if (refused !== undefined) return reply.fail(refused)
        whenCommittedReadable(request.serializable, reply, () => {
          const cursor = store.rangeCursor(request, store.committedRevision)
          if (isEtcdError(cursor)) return reply.fail(cursor)
          if (cursor.cold.length === 0) return reply.succeed(readerOf(cursor))
          readCold(reply, cursor.cold, (values) => {
            const failed = cursor.fill(values)
            if (failed === undefined) reply.succeed(readerOf(cursor))
            else reply.fail(failed)
          })
        })
      })

    /** A Txn's answer: when its records or what it read are committed, and its superseded values are read. */
    const answerTxn = (
      outcome: TxnOutcome,
      revision: number,
      reply: Reply<TxnResponse>,
      wait: (ready: () => void) => void
    ): void => {
      let values: ReadonlyArray<Uint8Array | undefined> | undefined = outcome.cold.length === 0 ? [] : undefined
      let ready = false
      const finish = (): void => {
        if (!ready || values === undefined) return
        const response = outcome.cold.length === 0 ? outcome.response : fillTxn(outcome, values)
        if (!isEtcdError(response)) reply.succeed({ ...response, header: status.header(revision) })
        // Compacted away between evaluation and reading. A write has happened nevertheless: no definite failure.
        else reply.fail(outcome.records.length === 0 ? response : errors.requestTimedOut)
      }
      // Asked for now: a later compaction cannot overtake it, LocalStore serves in order.
      if (values === undefined) {
        const accepted = readCold(reply, outcome.cold, (found) => {
          values = found
          finish()
        })
        // The client has been told that nothing happened: nothing may happen.
        if (!accepted) return
      }
      wait(() => {
        ready = true
        finish()
      })
    }

    const readOnlyTxn = (request: TxnRequest, reply: Reply<TxnResponse>): void => {
      const outcome = readTxn(store, request, store.committedRevision)
      if (isEtcdError(outcome)) return reply.fail(outcome)
      answerTxn(outcome, store.committedRevision, reply, (ready) => ready())
    }

    const txn = (request: TxnRequest, reply: Reply<TxnResponse>): void =>
      guarded(reply, () => {
        const refused = checkTxn(request, limits)
        if (refused !== undefined) return reply.fail(refused)
        if (isReadOnlyTxn(request)) {
          return whenCommittedReadable(isSerializableTxn(request), reply, () => readOnlyTxn(request, reply))
        }
        const next = state.next()
        if (isEtcdError(next)) return reply.fail(next)
        const full = stopped(txnCost(request) > 0)
        if (full !== undefined) return refuse(reply, full)
        const outcome = evaluateTxn(store, request, state.writeContext(next))
        if (isEtcdError(outcome)) return refuse(reply, outcome)
        if (outcome.records.length === 0) {
          const index = state.headIndex()
          return answerTxn(outcome, outcome.readRevision, reply, (ready) =>
            state.whenReadable(index, { done: ready, failed: reply.fail })
          )
        }
        const revision = store.headRevision + 1
        answerTxn(outcome, revision, reply, (ready) =>
          state.append(next, outcome.records, undefined, { done: ready, failed: reply.fail })
        )
      })

    const compact = (request: CompactionRequest, reply: Parameters<Kv["Service"]["compact"]>[1]): void =>
      guarded(reply, () => {
        const next = state.next()
        if (isEtcdError(next)) return reply.fail(next)
        const refused = checkCompact(store, request.revision)
        if (refused !== undefined) return refuse(reply, refused)
        const { physical, revision } = request
        const answer = (): void => reply.succeed({ header: status.header(store.committedRevision) })
        if (physical) state.whenRemoved(next.index, answer)
        state.append(
          next,
          [],
          { kind: "compaction", revision, physical },
          {
            done: physical ? () => {} : answer,
            failed: (error) => {
              state.forgetRemoved(next.index)
              reply.fail(error)
            }
          }
        )
      })

    return Kv.of({
      range,
      openRange,
      txn,
      compact,
      put: (request, reply) =>
        guarded(reply, () => {
          const refused = checkPut(request)
          if (refused !== undefined) return reply.fail(refused)
          const next = state.next()
          if (isEtcdError(next)) return reply.fail(next)
          const full = stopped(true)
          if (full !== undefined) return refuse(reply, full)
          const outcome = evaluatePut(store, request, state.writeContext(next))
          if (isEtcdError(outcome)) return refuse(reply, outcome)
          const revision = store.headRevision + 1
          state.append(next, outcome.records, undefined, {
            done: () => reply.succeed({ ...outcome.response, header: status.header(revision) }),
            failed: reply.fail
          })
        }),
      deleteRange: (request, reply) =>
        guarded(reply, () => {
          const refused = checkDeleteRange(request)
          if (refused !== undefined) return reply.fail(refused)
          const next = state.next()
          if (isEtcdError(next)) return reply.fail(next)
          const corrupt = stopped(false)
          if (corrupt !== undefined) return refuse(reply, corrupt)
          const outcome = evaluateDeleteRange(store, request, state.writeContext(next))
          const changed = outcome.records.length > 0
          const revision = changed ? store.headRevision + 1 : store.headRevision
          const waiter = {
            done: () => reply.succeed({ ...outcome.response, header: status.header(revision) }),
            failed: reply.fail
          }
          if (changed) state.append(next, outcome.records, undefined, waiter)
          else state.whenHeadReadable(waiter)
        }),
      barrier: (reply) =>
        state.whenReadable(state.commitIndex(), {
          done: () => reply.succeed({ revision: store.committedRevision }),
          failed: reply.fail
        }),
      revision: () => store.committedRevision,
      headRevision: () => store.headRevision,
      floor: () => store.floor,
      head: () => state.headIndex(),
      commitIndex: () => state.commitIndex()
    })
  })
)
