/** What the command line asks for: run with these settings, or print something and exit. */
import { helpText, parseFlags } from "./flags.ts"
import { formatProblem, formatProblems, type Problem } from "./problem.ts"
import { type ResolveInput, resolveWithFlags } from "./resolve.ts"
import type { SettingsShape } from "../../services/Settings.ts"

export type Command =
  | { readonly action: "run"; readonly settings: SettingsShape; readonly warnings: ReadonlyArray<string> }
  | { readonly action: "exit"; readonly code: number; readonly stdout: string; readonly stderr: string }

const exit = (code: number, stdout: string, stderr: string): Command => ({ action: "exit", code, stdout, stderr })

/** What is right in a configuration and yet cannot be run: never another store than the one that was named. */
export const notBuilt = (settings: SettingsShape): Problem | undefined =>
  settings.storage.provider === "gcs"
    ? {
        key: "storage.provider",
        value: "gcs",
        allowed: "s3 or directory; Google Cloud Storage comes with a later version"
      }
    : undefined

export const decide = (input: ResolveInput & { readonly version: string }): Command => {
  const { flags, problems } = parseFlags(input.argv)
  if (flags.help) return exit(0, helpText, "")
  if (flags.version && problems.length === 0) return exit(0, `netsy ${input.version}\n`, "")

  const resolved = resolveWithFlags(input, flags, problems)
  const warnings = resolved.warnings.map((warning) => `warning: ${warning}\n`).join("")
  const unready = resolved.ok ? notBuilt(resolved.settings) : undefined
  if (flags.validate !== undefined) {
    return resolved.ok
      ? exit(0, "Config is valid.\n", warnings + (unready === undefined ? "" : `warning: ${formatProblem(unready)}\n`))
      : exit(1, "", `${warnings}Validation failed:\n${formatProblems(resolved.problems)}`)
  }
  if (resolved.ok && unready === undefined) {
    return { action: "run", settings: resolved.settings, warnings: resolved.warnings }
  }
  const found = resolved.ok ? [unready!] : resolved.problems
  const count = found.length
  const head = `netsy: not started, ${count} ${count === 1 ? "problem" : "problems"} in the configuration:\n`
  return exit(1, "", `${warnings}${head}${formatProblems(found)}Help: netsy --help\n`)
}
