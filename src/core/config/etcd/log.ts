/** Where log lines go and which, as etcd's flags say it. */
import { posix } from "node:path"
import type { LogLevel, SettingsShape } from "../../../services/Settings.ts"
import type { FlagReading } from "./flagReading.ts"

const levels: Readonly<Record<string, LogLevel>> = {
  debug: "debug",
  info: "info",
  warn: "warn",
  error: "error",
  dpanic: "fatal",
  panic: "fatal",
  fatal: "fatal"
}

/** The journal reads what the service writes to standard error. */
const asStderr: ReadonlyArray<string> = ["default", "stderr", "systemd/journal"]

const outputsMax = 8

export const resolveLog = (flags: FlagReading, cwd: string): SettingsShape["log"] => {
  const named = flags.isOn("debug") ? "debug" : flags.text("log-level")
  const level = Object.hasOwn(levels, named) ? levels[named] : undefined
  if (level === undefined) flags.refuse("log-level", Object.keys(levels).join(", "))
  const format = flags.choice("log-format", ["json", "console"])
  const entries = flags.list("log-outputs")
  if (entries.length > outputsMax) flags.refuse("log-outputs", `at most ${outputsMax} places`)
  if (entries.includes("default") && entries.length > 1) flags.refuse("log-outputs", "default alone, or other places")
  const outputs = entries.map((entry) => {
    if (asStderr.includes(entry)) return "stderr"
    return entry === "stdout" ? "stdout" : posix.resolve(cwd, entry.replaceAll("\0", ""))
  })
  return {
    format: format === "json" ? "zap-json" : "zap-console",
    debug: level === "debug",
    level: level ?? "info",
    outputs: outputs.length === 0 ? ["stderr"] : [...new Set(outputs)]
  }
}
