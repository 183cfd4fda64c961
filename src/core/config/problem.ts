/** A mistake in the configuration: where, what was found, what is allowed. All of them are shown at once. */

export interface Problem {
  /** Key path, variable or flag. */
  readonly key: string
  /** Undefined: nothing was given. */
  readonly value: string | undefined
  readonly allowed: string
  /** Where the value came from when `key` does not say it: `config.jsonc:12:5`, `NETSY_STORAGE`, `--storage`. */
  readonly source?: string
}

const shown = (value: string): string => (value.length > 80 ? `${value.slice(0, 77)}...` : value)

export const formatProblem = ({ key, value, allowed, source }: Problem): string => {
  const place = source === undefined || source === key ? key : `${key} (${source})`
  return value === undefined
    ? `${place}: missing; needed: ${allowed}`
    : `${place}: got ${shown(value)}; allowed: ${allowed}`
}

export const formatProblems = (problems: ReadonlyArray<Problem>): string =>
  problems.map((problem) => `  - ${formatProblem(problem)}\n`).join("")
