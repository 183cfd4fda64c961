/** The active alarms (etcd-api.md 2.8), ordered by member and type. Values are never changed in place. */
import type { AlarmMember } from "../wire/codec/maintenance.ts"

export type Alarms = ReadonlyArray<AlarmMember>

export const noAlarms: Alarms = []

const same = (a: AlarmMember, b: AlarmMember): boolean => a.memberId === b.memberId && a.alarm === b.alarm

const inOrder = (a: AlarmMember, b: AlarmMember): number =>
  a.memberId === b.memberId ? a.alarm - b.alarm : a.memberId < b.memberId ? -1 : 1

/** Idempotent, as deactivation is. */
export const activate = (alarms: Alarms, alarm: AlarmMember): Alarms =>
  alarms.some((other) => same(other, alarm)) ? alarms : [...alarms, alarm].sort(inOrder)

export const deactivate = (alarms: Alarms, alarm: AlarmMember): Alarms => alarms.filter((other) => !same(other, alarm))

export const isActive = (alarms: Alarms, type: number): boolean => alarms.some(({ alarm }) => alarm === type)
