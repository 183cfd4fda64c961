/** Command lines of etcd for tests: decided without a disk, in the directory /srv. */
import { decideEtcd, type EtcdCommandInput } from "../../src/core/config/etcd/command.ts"
import type { EtcdSettings, SettingsShape } from "../../src/services/Settings.ts"

export interface EtcdSetup {
  readonly argv?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
  readonly files?: Readonly<Record<string, string>>
  /** Paths that are there. */
  readonly existing?: ReadonlyArray<string>
}

export const etcdInput = ({ argv = [], env = {}, existing = [], files = {} }: EtcdSetup): EtcdCommandInput => ({
  argv,
  env,
  cwd: "/srv",
  exists: (path) => existing.includes(path),
  readFile: (path) => {
    const found = files[path]
    if (found === undefined) throw new Error(`ENOENT: no such file or directory, open '${path}'`)
    return found
  },
  version: "0.1.0",
  nodeVersion: "v24.0.0",
  platform: "linux",
  arch: "x64"
})

export const etcdSettings = (setup: EtcdSetup): SettingsShape & { readonly etcd: EtcdSettings } => {
  const decided = decideEtcd(etcdInput(setup))
  if (decided.action === "exit") throw new Error(decided.stderr)
  const { settings } = decided
  if (settings.etcd === undefined) throw new Error("settings of another mode")
  return { ...settings, etcd: settings.etcd }
}

export const etcdWarnings = (setup: EtcdSetup): ReadonlyArray<string> => {
  const decided = decideEtcd(etcdInput(setup))
  if (decided.action === "exit") throw new Error(decided.stderr)
  return decided.warnings
}

/** The reasons for which a start is refused with exit code 1. */
export const etcdRefusal = (setup: EtcdSetup): ReadonlyArray<string> => {
  const decided = decideEtcd(etcdInput(setup))
  if (decided.action === "run") throw new Error("it would start")
  if (decided.code !== 1) throw new Error(`exit code ${decided.code}: ${decided.stderr}`)
  return decided.stderr
    .split("\n")
    .filter((line) => line.startsWith("  - "))
    .map((line) => line.slice(4))
}
