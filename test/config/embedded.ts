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

/** For listeners of a test: any port that is free. */
const anyPort = { host: "127.0.0.1", port: 0 }
export const anyPorts: SettingsShape["bind"] = { client: anyPort, peer: anyPort, election: anyPort, health: anyPort }
