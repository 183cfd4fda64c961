/** Settings of an embedded node, for tests: what `--storage dir:/store --insecure` gives, with these variables. */
import { formatProblems } from "../../src/core/config/problem.ts"
import { resolveSettings } from "../../src/core/config/resolve.ts"
import type { SettingsShape } from "../../src/services/Settings.ts"

export const embeddedSettings = (env: Readonly<Record<string, string>> = {}): SettingsShape => {
  const resolved = resolveSettings({
    argv: ["--storage", "dir:/store", "--insecure"],
    env,
    cwd: "/",
    readFile: () => {
      throw new Error("no file")
    }
  })
  if (!resolved.ok) throw new Error(formatProblems(resolved.problems))
  return resolved.settings
}
