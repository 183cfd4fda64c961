/** What the command line asks for: run with these settings, or print something and exit. */
import { helpText, parseFlags } from "./flags.ts"
import { formatProblems } from "./problem.ts"
import { type ResolveInput, resolveWithFlags } from "./resolve.ts"
import type { SettingsShape } from "../../services/Settings.ts"

export type Command =
  | { readonly action: "run"; readonly settings: SettingsShape; readonly warnings: ReadonlyArray<string> }
  | { readonly action: "exit"; readonly code: number; readonly stdout: string; readonly stderr: string }

const exit = (code: number, stdout: string, stderr: string): Command => ({ action: "exit", code, stdout, stderr })

export const decide = (input: ResolveInput & { readonly version: string }): Command => {
  const { flags, problems } = parseFlags(input.argv)
  if (flags.help) return exit(0, helpText, "")
  if (flags.version && problems.length === 0) return exit(0, `netsy ${input.version}\n`, "")

  const resolved = resolveWithFlags(input, flags, problems)
  const warnings = resolved.warnings.map((warning) => `warning: ${warning}\n`).join("")
  if (flags.validate !== undefined) {
    return resolved.ok
      ? exit(0, "Config is valid.\n", warnings)
      : exit(1, "", `${warnings}Validation failed:\n${formatProblems(resolved.problems)}`)
  }
  if (resolved.ok) return { action: "run", settings: resolved.settings, warnings: resolved.warnings }
  const count = resolved.problems.length
  const head = `netsy: not started, ${count} ${count === 1 ? "problem" : "problems"} in the configuration:\n`
  return exit(1, "", `${warnings}${head}${formatProblems(resolved.problems)}Help: netsy --help\n`)
}
