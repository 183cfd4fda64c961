/**
 * What a lock or election call does on behalf of its caller: each step is checked and counted as if the caller had sent
 * it (etcd's own recipes pass the caller's metadata on).
 */
import { leave, sessionTtlSeconds } from "../../../core/locks/recipe.ts"
import { leaseGrantCost, txnCost } from "../../../core/txn/cost.ts"
import { decodeDeleteRangeResponse, encodeDeleteRangeRequest } from "../../../core/wire/codec/kv.ts"
import {
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseRevokeRequest,
  LeaseRevokeResponse
} from "../../../core/wire/codec/lease.ts"
import { decodeTxnResponse, encodeTxnRequest } from "../../../core/wire/codec/txn.ts"
import { type EtcdError, errors } from "../../../core/wire/errors.ts"
import type {
  DeleteRangeRequest,
  DeleteRangeResponse,
  RangeRequest,
  RangeResponse,
  TxnRequest,
  TxnResponse,
  WatchCreateRequest,
  WatchResponse
} from "../../../core/wire/messages.ts"
import type { Access, Caller, Refusal } from "../../../services/Access.ts"
import type { CallContext } from "../../../services/ClientApi.ts"
import type { Forwarding, ForwardRules } from "../../../services/Forwarding.ts"
import type { Kv, Reply } from "../../../services/Kv.ts"
import type { Leases } from "../../../services/Leases.ts"
import type { Quota } from "../../../services/Quota.ts"
import type { WatchHub } from "../../../services/WatchHub.ts"

export interface LockOptions {
  readonly access: Access["Service"]
  readonly kv: Kv["Service"]
  readonly hub: WatchHub["Service"]
  readonly leases: Leases["Service"]
  readonly quota: Quota["Service"]
  readonly forwarding: Forwarding["Service"]
  /** How many callers wait for their turn. */
  readonly waiting: { callers: number }
}

/** Callers that wait for locks and elections at once. */
const callersMax = 16_384

export interface Session {
  readonly lease: bigint
  /** Made for this call; nobody else knows it. */
  readonly own: boolean
}

export const canceled = errors.requestCanceled

const unheard: Reply<unknown> = { succeed: () => {}, fail: () => {} }

const step: ForwardRules = {
  repeatable: false,
  heldLong: false,
  answersLate: false,
  withoutPrimary: errors.requestTimedOut
}
const patientStep: ForwardRules = { ...step, heldLong: true }

interface StepCodec<Request, Response> {
  readonly method: string
  readonly encode: (request: Request) => Uint8Array
  readonly decode: (bytes: Uint8Array) => Response
}

const stepCodecs = {
  txn: { method: "/etcdserverpb.KV/Txn", encode: encodeTxnRequest, decode: decodeTxnResponse },
  deleteRange: {
    method: "/etcdserverpb.KV/DeleteRange",
    encode: encodeDeleteRangeRequest,
    decode: decodeDeleteRangeResponse
  },
  grant: {
    method: "/etcdserverpb.Lease/LeaseGrant",
    encode: LeaseGrantRequest.encode,
    decode: LeaseGrantResponse.decode
  },
  revoke: {
    method: "/etcdserverpb.Lease/LeaseRevoke",
    encode: LeaseRevokeRequest.encode,
    decode: LeaseRevokeResponse.decode
  }
}

export class Calls {
  readonly #options: LockOptions
  readonly #context: CallContext
  readonly #waits: boolean
  /** For steps that are held until the caller goes, and for those that nobody gives up. */
  readonly #stepContext: CallContext
  readonly #deafContext: CallContext
  #closed = false
  #giveUp: (() => void) | undefined

  /** `waits`: the call may wait long and wants to know when its caller goes. */
  constructor(options: LockOptions, context: CallContext, waits: boolean) {
    this.#options = options
    this.#context = context
    this.#waits = waits
    const { commonName, identity, metadata } = context
    this.#deafContext = { commonName, identity, metadata }
    this.#stepContext = { ...this.#deafContext, onClosed: (listener) => this.onClosed(listener) }
    if (!waits) return
    context.onClosed?.(() => {
      this.#closed = true
      this.#giveUp?.()
    })
  }

  /** The caller has gone, or has its answer. */
  get closed(): boolean {
    return this.#closed
  }

  /** False: too many wait already. Whoever may wait says when that is over. */
  beginWaiting(): boolean {
    const { waiting } = this.#options
    if (waiting.callers >= callersMax) return false
    waiting.callers++
    return true
  }

  endWaiting(): void {
    this.#options.waiting.callers--
  }

  /** Called when the caller goes, at once when it has gone; undefined: no longer. */
  onClosed(giveUp: (() => void) | undefined): void {
    this.#giveUp = giveUp
    if (this.#closed) giveUp?.()
  }

  range(request: RangeRequest, reply: Reply<RangeResponse>): void {
    const { access, kv } = this.#options
    this.#allowed(
      (caller) => access.range(caller, request),
      reply,
      () => kv.range(request, reply)
    )
  }

  deleteRange(request: DeleteRangeRequest, reply: Reply<DeleteRangeResponse>): void {
    const { access, kv } = this.#options
    this.#atPrimary(stepCodecs.deleteRange, request, reply, (own) =>
      this.#allowed(
        (caller) => access.deleteRange(caller, request),
        own,
        () => kv.deleteRange(request, own)
      )
    )
  }

  txn(request: TxnRequest, reply: Reply<TxnResponse>): void {
    const { access } = this.#options
    this.#atPrimary(stepCodecs.txn, request, reply, (own) =>
      this.#allowed(
        (caller) => access.txn(caller, request),
        own,
        () => this.#txnHere(request, own)
      )
    )
  }

  #txnHere(request: TxnRequest, reply: Reply<TxnResponse>): void {
    const { kv, quota } = this.#options
    const cost = txnCost(request)
    const full = cost === 0 ? undefined : quota.admit(cost)
    if (full === undefined) kv.txn(request, reply)
    else reply.fail(full)
  }

  /** The given lease, or a new one that nobody keeps alive, as in etcd. */
  session(lease: bigint, reply: Reply<Session>): void {
    if (lease !== 0n) return reply.succeed({ lease, own: false })
    const { access, leases, quota } = this.#options
    const request = { id: 0n, ttl: sessionTtlSeconds }
    const granted: Reply<LeaseGrantResponse> = {
      succeed: ({ id }) => reply.succeed({ lease: id, own: true }),
      fail: reply.fail
    }
    this.#atPrimary(stepCodecs.grant, request, granted, (own) =>
      this.#allowed(
        (caller) => access.user(caller),
        own,
        () => {
          const full = quota.admit(leaseGrantCost)
          if (full === undefined) leases.grant(request, own)
          else own.fail(full)
        }
      )
    )
  }

  /** Takes back what the call itself did, whoever may do what by now. A session's keys go with it. */
  withdraw(session: Session, key: Uint8Array, createRevision: number): void {
    if (session.own) this.endSession(session)
    else {
      const request = leave(key, createRevision)
      this.#atPrimary(stepCodecs.txn, request, unheard, (own) => this.#options.kv.txn(request, own))
    }
  }

  endSession({ lease, own }: Session): void {
    if (!own) return
    const request = { id: lease }
    this.#atPrimary(stepCodecs.revoke, request, unheard, (reply) => this.#options.leases.revoke(request, reply))
  }

  /**
   * Calls back for every response with events until it is told to stop (`stop`, which is returned). A watch that the
   * server ends is lost: where its start is compacted away, or when it was never allowed.
   */
  watch(
    request: WatchCreateRequest,
    on: {
      readonly events: (response: WatchResponse) => boolean
      readonly lost: (error: EtcdError) => void
    }
  ): { readonly stop: () => void; readonly drained: () => void } {
    const { access, hub } = this.#options
    let stopped = false
    const stream = hub.open({
      send: (response) => {
        if (stopped) return true
        if (response.canceled) {
          stop()
          queueMicrotask(() => on.lost(errors.compacted))
        } else if (response.events.length > 0) return on.events(response)
        return true
      }
    })
    const stop = (): void => {
      stopped = true
      stream.close()
    }
    const lost = (error: EtcdError): void => {
      stop()
      on.lost(error)
    }
    this.#allowed(
      (caller) => access.watch(caller, request),
      { fail: lost },
      () => {
        if (!stopped) stream.request({ kind: "create", create: request })
      }
    )
    return { stop, drained: stream.drained }
  }

  /**
   * A step that only the Active Primary takes: `here`, or sent to it. The caller's rights are checked where it is taken.
   * One that takes something back is held no longer than any other request: nobody waits for it.
   */
  #atPrimary<Request, Response>(
    { decode, encode, method }: StepCodec<Request, Response>,
    request: Request,
    reply: Reply<Response>,
    here: (reply: Reply<Response>) => void
  ): void {
    const heldLong = this.#waits && reply !== unheard
    this.#options.forwarding.run({
      rules: heldLong ? patientStep : step,
      method,
      request: encode(request),
      context: heldLong ? this.#stepContext : this.#deafContext,
      check: () => undefined,
      reply: { succeed: (bytes) => reply.succeed(decode(bytes)), fail: reply.fail },
      here: (fail) => here({ succeed: reply.succeed, fail })
    })
  }

  #allowed(check: (caller: Caller) => Refusal, reply: Pick<Reply<never>, "fail">, go: () => void): void {
    const { access } = this.#options
    if (!access.enabled()) return go()
    access.identify(
      this.#context,
      (caller) => {
        const refused = check(caller)
        if (refused === undefined) go()
        else reply.fail(refused)
      },
      reply.fail
    )
  }
}
