/** What a log operation does to leases, alarms and users; the same at head, at commit and when a log is loaded. */
import { activate, type Alarms, deactivate } from "../alarm/alarms.ts"
import { applyAuth, type AuthState } from "../auth/state.ts"
import type { LeaseTable } from "../lease/LeaseTable.ts"
import { AlarmAction, type Op } from "../log/op.ts"

type OpOf<Kind extends Op["kind"]> = Extract<Op, { readonly kind: Kind }>

export const nextAlarms = (alarms: Alarms, { action, memberId, type }: OpOf<"alarm">): Alarms =>
  (action === AlarmAction.Activate ? activate : deactivate)(alarms, { memberId, alarm: type })

export const nextAuth = (state: AuthState, op: OpOf<"auth">): AuthState => applyAuth(state, op.auth)

/** Operations of other kinds leave the leases as they are. */
export const nextLeases = (leases: LeaseTable, op: Op): void => {
  if (op.kind === "leaseGrant") {
    leases.put({ id: op.id, ttlSeconds: op.ttlSeconds, remainingTtlSeconds: op.remainingTtlSeconds })
  } else if (op.kind === "leaseRevoke") leases.delete(op.id)
  else if (op.kind === "leaseCheckpoint") {
    for (const { id, remainingTtlSeconds } of op.leases) {
      const lease = leases.get(id)
      if (lease !== undefined) leases.put({ ...lease, remainingTtlSeconds })
    }
  }
}
