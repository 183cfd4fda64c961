/** What a command line of etcd asks for. Exit codes as there: 2 for flags that cannot be read, 1 for what they say. */
import type { Command } from "../command.ts"
import { formatProblem } from "../problem.ts"
import { type ConfigFileRead, readConfigFile } from "./configFile.ts"
import { readEnvironment } from "./environment.ts"
import { findFlag } from "./flagTable.ts"
import { parseGoBool } from "./goValues.ts"
import { parseGoFlags, shown } from "./goFlags.ts"
import { helpText, usageText, versionText } from "./help.ts"
import { resolveEtcd } from "./resolve.ts"

export interface EtcdCommandInput {
  /** After `etcd`. */
  readonly argv: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string | undefined>>
  /** Throws when the file cannot be read. */
  readonly readFile: (path: string) => string
  readonly exists: (path: string) => boolean
  readonly cwd: string
  readonly version: string
  readonly nodeVersion: string
  readonly platform: string
  readonly arch: string
}

const exit = (code: number, stdout: string, stderr: string): Command => ({ action: "exit", code, stdout, stderr })

/** Processes of etcd that nobody starts under this name. */
const otherPrograms: ReadonlyArray<string> = ["gateway", "grpc-proxy"]

export const decideEtcd = (input: EtcdCommandInput): Command => {
  const parsed = parseGoFlags(input.argv)
  if (parsed.help) return exit(0, helpText, "")
  if (parsed.error !== undefined) return exit(2, "", `${parsed.error}\n${usageText}`)
  const [word] = parsed.rest
  if (word !== undefined) {
    const why = otherPrograms.includes(word)
      ? `'${word}' is not part of this server`
      : `${shown(word)} is not a valid flag`
    return refused([why], [])
  }
  const { values, formers } = parsed
  if (parseGoBool(values.get("version")?.text ?? "false") === true) return exit(0, versionText(input), "")

  const path = values.get("config-file")?.text || input.env["ETCD_CONFIG_FILE"] || undefined
  const warnings: Array<string> = []
  const errors: Array<string> = []
  if (path === undefined) {
    const read = readEnvironment(input.env, values, formers)
    warnings.push(...read.warnings)
    errors.push(...read.errors)
  } else {
    const others = [...values.keys()].filter((name) => name !== "config-file").map((name) => `--${name}`)
    if (others.length > 0) warnings.push(`${others.join(", ")} ignored: the file ${path} says everything`)
    const file = readFile(input, path)
    values.clear()
    formers.length = 0
    for (const [name, value] of file.values) values.set(name, value)
    formers.push(...file.formers)
    warnings.push(...file.warnings)
    errors.push(...file.errors)
  }
  for (const former of new Set(formers)) {
    warnings.push(`--${former} is the name of older versions; today it is --${findFlag(former)!.spec.name}`)
  }
  if (errors.length > 0) return refused(errors, warnings)

  const resolved = resolveEtcd({ values, env: input.env, cwd: input.cwd, exists: input.exists })
  warnings.push(...resolved.warnings)
  if (!resolved.ok) return refused(resolved.problems.map(formatProblem), warnings)
  return { action: "run", settings: resolved.settings, warnings }
}

const readFile = (input: EtcdCommandInput, path: string): ConfigFileRead => {
  try {
    return readConfigFile(path, input.readFile(path))
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    return { values: new Map(), formers: [], warnings: [], errors: [`${path}: ${reason}`] }
  }
}

const refused = (reasons: ReadonlyArray<string>, warnings: ReadonlyArray<string>): Command => {
  const said = warnings.map((warning) => `warning: ${warning}\n`).join("")
  const listed = reasons.map((reason) => `  - ${reason}\n`).join("")
  return exit(1, "", `${said}etcd: failed to verify flags:\n${listed}See 'etcd --help'.\n`)
}
