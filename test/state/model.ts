/** What a log amounts to, worked out entry by entry in the plainest way: maps that are copied at every revision. */
import { AlarmAction, decodeOp } from "../../src/core/log/op.ts"
import { type Entry, isInternal } from "../../src/core/log/record.ts"

export interface ModelKey {
  readonly value: string
  readonly lease: bigint
  readonly create: number
  readonly mod: number
  readonly version: number
}

export interface Model {
  readonly revision: number
  /** −1: never compacted. */
  readonly floor: number
  /** Revision → the keys that a reader at it sees. */
  readonly views: ReadonlyMap<number, ReadonlyMap<string, ModelKey>>
  readonly leases: ReadonlyMap<bigint, number>
  readonly alarms: ReadonlyArray<string>
  readonly roles: ReadonlyArray<string>
  /** One line an event, in order. */
  readonly events: ReadonlyArray<{ readonly revision: number; readonly text: string }>
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1")

export const modelOf = (entries: ReadonlyArray<Entry>): Model => {
  let revision = 1
  let floor = -1
  let keys = new Map<string, ModelKey>()
  const views = new Map<number, ReadonlyMap<string, ModelKey>>([[1, keys]])
  const leases = new Map<bigint, number>()
  const alarms = new Set<string>()
  const roles = new Set<string>()
  const events: Array<{ revision: number; text: string }> = []
  for (const { records, revision: at } of entries) {
    for (const record of records) {
      if (record.op !== undefined) {
        const op = decodeOp(record.op)
        if (op.kind === "leaseGrant") leases.set(op.id, op.ttlSeconds)
        else if (op.kind === "leaseRevoke") leases.delete(op.id)
        else if (op.kind === "compaction") floor = op.revision
        else if (op.kind === "alarm") {
          const name = `${op.memberId}/${op.type}`
          if (op.action === AlarmAction.Activate) alarms.add(name)
          else alarms.delete(name)
        } else if (op.kind === "auth") {
          const { change } = op.auth
          if (change.kind === "roleAdd") roles.add(change.name)
          else if (change.kind === "roleDelete") roles.delete(change.name)
        }
        continue
      }
      if (isInternal(record)) continue
      if (at > revision) {
        revision = at
        keys = new Map(keys)
        views.set(at, keys)
      }
      const key = text(record.key)
      const before = keys.get(key)
      if (record.deleted) keys.delete(key)
      else {
        keys.set(key, {
          value: text(record.value),
          lease: record.lease,
          create: before?.create ?? at,
          mod: at,
          version: (before?.version ?? 0) + 1
        })
      }
      events.push({ revision: at, text: `${at} ${key} ${record.deleted ? "-" : text(record.value)}` })
    }
  }
  return { revision, floor, views, leases, alarms: [...alarms].toSorted(), roles: [...roles].toSorted(), events }
}
