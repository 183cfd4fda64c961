/** What the command line asks for: run with these settings, or print something and exit. */
import { helpText, parseFlags } from "./flags.ts"
import { nearest } from "./nearest.ts"
import { formatProblems } from "./problem.ts"
import { type ResolveInput, resolveWithFlags } from "./resolve.ts"
import type { SettingsShape } from "../../services/Settings.ts"

export type Command =
  | { readonly action: "run"; readonly settings: SettingsShape; readonly warnings: ReadonlyArray<string> }
  | { readonly action: "exit"; readonly code: number; readonly stdout: string; readonly stderr: string }

const exit = (code: number, stdout: string, stderr: string): Command => ({ action: "exit", code, stdout, stderr })

const commands = ["etcd", "status", "recover", "verify", "restore", "inspect"]

/** The first word, when it is no flag and none of the commands, which have been looked for before. */
const unknownCommand = (word: string): Command => {
  const meant = nearest(word, commands)
  const hint = meant === undefined ? "" : `; did you mean ${meant}?`
  return exit(
    1,
    "",
    `netsy: there is no command ${JSON.stringify(word)}${hint}
Commands: ${commands.join(", ")}; a node is started with flags: --config PATH, or --storage dir:PATH --insecure
Help: netsy --help
`
  )
}

export const decide = (input: ResolveInput & { readonly version: string }): Command => {
  const [first] = input.argv
  if (first !== undefined && first !== "" && !first.startsWith("-")) return unknownCommand(first)
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
