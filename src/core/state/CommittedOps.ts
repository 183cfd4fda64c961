/**
 * The committed state beside the keys, as the operations that make it: what a snapshot begins with (design 5). Leases are
 * kept encoded, so that a hundred thousand of them are listed at once.
 */
import { type Alarms, noAlarms } from "../alarm/alarms.ts"
import { authOps, type AuthState, noAuth } from "../auth/state.ts"
import type { Lease } from "../lease/LeaseTable.ts"
import { AlarmAction, encodeOp, type MemberNote, type Op } from "../log/op.ts"
import { nextAlarms, nextAuth } from "./operations.ts"

type LeaseGrant = Extract<Op, { readonly kind: "leaseGrant" }>

interface Grant {
  readonly op: LeaseGrant
  readonly encoded: Uint8Array
}

export class CommittedOps {
  readonly #leases = new Map<bigint, Grant>()
  readonly #members = new Map<bigint, MemberNote>()
  #alarms: Alarms = noAlarms
  #auth: AuthState = noAuth

  get alarms(): Alarms {
    return this.#alarms
  }

  get auth(): AuthState {
    return this.#auth
  }

  *leases(): IterableIterator<Lease> {
    for (const { op } of this.#leases.values()) {
      yield { id: op.id, ttlSeconds: op.ttlSeconds, remainingTtlSeconds: op.remainingTtlSeconds }
    }
  }

  /** `encoded` is the operation's own form; it is copied where it is kept. */
  apply(op: Op, encoded: Uint8Array): void {
    switch (op.kind) {
      case "leaseGrant":
        this.#leases.set(op.id, { op, encoded: encoded.slice() })
        break
      case "leaseRevoke":
        this.#leases.delete(op.id)
        break
      case "leaseCheckpoint":
        for (const { id, remainingTtlSeconds } of op.leases) {
          const grant = this.#leases.get(id)
          if (grant === undefined) continue
          const next: LeaseGrant = { ...grant.op, remainingTtlSeconds }
          this.#leases.set(id, { op: next, encoded: encodeOp(next) })
        }
        break
      case "alarm":
        this.#alarms = nextAlarms(this.#alarms, op)
        break
      case "auth":
        this.#auth = nextAuth(this.#auth, op)
        break
      case "member":
        this.#members.set(op.member.memberId, op.member)
        break
      case "noOp":
      case "compaction":
        break
    }
  }

  /** `compactRevision` as etcd counts it: −1, never compacted, has no operation. */
  ops(compactRevision: number): ReadonlyArray<Uint8Array> {
    const ops: Array<Uint8Array> = []
    if (compactRevision >= 0) ops.push(encodeOp({ kind: "compaction", revision: compactRevision, physical: false }))
    for (const grant of this.#leases.values()) ops.push(grant.encoded)
    for (const { alarm, memberId } of this.#alarms) {
      ops.push(encodeOp({ kind: "alarm", memberId, type: alarm, action: AlarmAction.Activate }))
    }
    for (const auth of authOps(this.#auth)) ops.push(encodeOp({ kind: "auth", auth }))
    for (const member of this.#members.values()) ops.push(encodeOp({ kind: "member", member }))
    return ops
  }
}
