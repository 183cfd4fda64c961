/** `ETCD_*` variables: each flag has one; a flag on the command line wins. */
import { editDistance, nearest } from "../nearest.ts"
import { findFlag, flagNames, variableOfFlag } from "./flagTable.ts"
import { type FlagValue, kindError, shown } from "./goFlags.ts"

export interface EnvironmentRead {
  readonly warnings: ReadonlyArray<string>
  readonly errors: ReadonlyArray<string>
}

const prefix = "ETCD_"
/** Of letters: in a name as short as `ETCD_PORT` two slips could be meant for anything. */
const slipShare = 1 / 6

/** Adds to `values` what the command line has not said. */
export const readEnvironment = (
  env: Readonly<Record<string, string | undefined>>,
  values: Map<string, FlagValue>,
  formers: Array<string>
): EnvironmentRead => {
  const warnings: Array<string> = []
  const errors: Array<string> = []
  const byFlag = new Set(values.keys())
  for (const variable of Object.keys(env).sort()) {
    const text = env[variable]
    if (!variable.startsWith(prefix) || text === undefined) continue
    const flag = variable.slice(prefix.length).toLowerCase().replaceAll("_", "-")
    const found = variableOfFlag(flag) === variable ? findFlag(flag) : undefined
    if (found === undefined) {
      warnings.push(unrecognized(variable))
      continue
    }
    const { name, kind } = found.spec
    if (name === "version") {
      warnings.push(`${variable} has no effect; --version prints the version`)
      continue
    }
    // An empty variable counts as absent, as in etcd.
    if (text === "") continue
    if (byFlag.has(name)) {
      warnings.push(`${variable} is shadowed by --${name}`)
      continue
    }
    // A former name does not replace the one of today.
    if (found.former !== undefined && values.has(name)) continue
    const wrong = kindError(kind, text)
    if (wrong !== undefined) {
      errors.push(`invalid value ${shown(text)} for ${variable}: ${wrong}`)
      continue
    }
    if (found.former !== undefined) formers.push(found.former)
    values.set(name, { text, source: variable })
  }
  return { warnings, errors }
}

/** Others own names with this prefix too (Kubernetes adds `ETCD_PORT` …): a hint only for likely slips. */
const unrecognized = (variable: string): string => {
  const meant = nearest(variable, flagNames.map(variableOfFlag))
  const hint =
    meant !== undefined && editDistance(variable, meant) <= variable.length * slipShare
      ? `; did you mean ${meant}?`
      : ""
  return `unrecognized environment variable ${shown(variable).slice(1, -1)}${hint}`
}
