/** What `netsy verify` has found, and how a person sees it. */

export interface Finding {
  /** What was looked at: the bucket, a node, all nodes. */
  readonly subject: string
  /** What must hold, in a few words. */
  readonly check: string
  readonly ok: boolean
  /** Figures, or what is wrong. */
  readonly detail: string
}

export const isClean = (findings: ReadonlyArray<Finding>): boolean => findings.every(({ ok }) => ok)

export const findingsTable = (findings: ReadonlyArray<Finding>): string => {
  const rows = [
    ["", "SUBJECT", "CHECK", "DETAIL"],
    ...findings.map(({ check, detail, ok, subject }) => [ok ? "ok" : "BAD", subject, check, detail])
  ]
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]!.length)))
  const bad = findings.filter(({ ok }) => !ok).length
  const verdict = bad === 0 ? `${findings.length} checks, nothing wrong` : `${findings.length} checks, ${bad} BAD`
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd()
  )
  return [...lines, "", verdict].join("\n")
}
