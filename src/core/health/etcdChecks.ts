/** etcd's `/health`, `/livez` and `/readyz`: which checks there are and how their results read (etcd-api.md 5.1). Pure. */
import { AlarmType } from "../wire/messages.ts"

export type CheckName = "data_corruption" | "serializable_read" | "linearizable_read" | "non_learner"

export const livezChecks: ReadonlyArray<CheckName> = ["serializable_read"]
export const readyzChecks: ReadonlyArray<CheckName> = [
  "data_corruption",
  "serializable_read",
  "linearizable_read",
  "non_learner"
]

export interface CheckResult {
  readonly name: CheckName
  /** Undefined: passed. */
  readonly failure: string | undefined
}

export interface ChecksAnswer {
  readonly ok: boolean
  readonly body: string
}

/** A failure is told in full, success in one word unless more was asked for. */
export const checksAnswer = (results: ReadonlyArray<CheckResult>, verbose: boolean): ChecksAnswer => {
  const lines = results.map(({ failure, name }) =>
    failure === undefined ? `[+]${name} ok\n` : `[-]${name} failed: ${failure}\n`
  )
  const ok = results.every(({ failure }) => failure === undefined)
  // The empty line is etcd's.
  if (!ok) return { ok, body: `${lines.join("")}\n` }
  return { ok, body: `${verbose ? lines.join("") : ""}ok\n` }
}

const alarmNames = new Map<number, string>([
  [AlarmType.NoSpace, "NOSPACE"],
  [AlarmType.Corrupt, "CORRUPT"]
])

/** The first alarm that counts, as `/health` names it; undefined when there is none. */
export const alarmReason = (
  alarms: ReadonlyArray<{ readonly alarm: number }>,
  excluded: ReadonlySet<string>
): string | undefined => {
  const found = alarms.find(({ alarm }) => !excluded.has(alarmNames.get(alarm) ?? ""))
  return found === undefined ? undefined : `ALARM ${alarmNames.get(found.alarm) ?? "UNKNOWN"}`
}

/** `health` is a string, as etcd has it. */
export const healthBody = (reason: string): string => JSON.stringify({ health: String(reason === ""), reason })
