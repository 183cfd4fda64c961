/** What `netsy verify` has found, how a person sees it, and how a program does. */

export interface Finding {
  /** What was looked at: the bucket, a node, all nodes. */
  readonly subject: string
  /** What must hold, in a few words. */
  readonly check: string
  /** `unknown`: it could not be looked at. */
  readonly verdict: "ok" | "bad" | "unknown"
  /** Figures, or what is wrong. */
  readonly detail: string
}

/** An object that is not part of the history that a reader finds. */
export interface LeftOver {
  readonly key: string
  readonly reason: string
}

/** `wrong`: what is wrong; undefined: nothing. */
export const finding = (subject: string, check: string, wrong: string | undefined, detail: string): Finding =>
  wrong === undefined ? { subject, check, verdict: "ok", detail } : { subject, check, verdict: "bad", detail: wrong }

export const unknown = (subject: string, check: string, detail: string): Finding => ({
  subject,
  check,
  verdict: "unknown",
  detail
})

const count = (findings: ReadonlyArray<Finding>, verdict: Finding["verdict"]): number =>
  findings.filter((one) => one.verdict === verdict).length

/** 0: nothing is wrong; 1: something is; 2: nothing was seen to be, but not everything could be looked at. */
export const exitCode = (findings: ReadonlyArray<Finding>): 0 | 1 | 2 =>
  count(findings, "bad") > 0 ? 1 : count(findings, "unknown") > 0 ? 2 : 0

const marks = { ok: "ok", bad: "BAD", unknown: "?" }

const verdictOf = (findings: ReadonlyArray<Finding>): string => {
  const bad = count(findings, "bad")
  const unseen = count(findings, "unknown")
  const parts = [
    `${findings.length} checks`,
    ...(bad > 0 ? [`${bad} BAD`] : unseen > 0 ? [] : ["nothing wrong"]),
    ...(unseen > 0 ? [`${unseen} could not be looked at`] : [])
  ]
  return parts.join(", ")
}

export const findingsTable = (findings: ReadonlyArray<Finding>): string => {
  const rows = [
    ["", "SUBJECT", "CHECK", "DETAIL"],
    ...findings.map(({ check, detail, subject, verdict }) => [marks[verdict], subject, check, detail])
  ]
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]!.length)))
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd()
  )
  return [...lines, "", verdictOf(findings)].join("\n")
}

/** One line of JSON. */
export const findingsJson = (findings: ReadonlyArray<Finding>, leftOver: ReadonlyArray<LeftOver>): string =>
  JSON.stringify({
    verdict: (["ok", "bad", "unknown"] as const)[exitCode(findings)],
    checks: findings.length,
    bad: count(findings, "bad"),
    unknown: count(findings, "unknown"),
    findings,
    left_over: leftOver
  })
