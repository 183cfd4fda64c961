/**
 * From options to settings. Options are turned into the variables of the same names, so that the code that checks a
 * daemon's configuration checks them too; mistakes are told under the options' own names.
 */
import { readFileSync } from "node:fs"
import { posix } from "node:path"
import { Duration, Effect, Option } from "effect"
import { formatDuration } from "../../core/config/duration.ts"
import { type FileKey, fileKeys, variableOf } from "../../core/config/fields.ts"
import { isIdentifier } from "../../core/config/identifier.ts"
import { nearest } from "../../core/config/nearest.ts"
import type { Problem } from "../../core/config/problem.ts"
import { resolveSettings } from "../../core/config/resolve.ts"
import { parseStorageWord } from "../../core/config/storageWord.ts"
import { settingTable } from "../../core/config/settingTable.ts"
import type { SettingsShape } from "../../services/Settings.ts"
import { ConfigError } from "./errors.ts"
import type { DaemonOptions, NetsyOptions } from "./options.ts"

const camel = (name: string): string => name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

const listeners = ["client", "peer", "election", "health"] as const
const tlsFiles = ["caCert", "serverCert", "serverKey", "clientCert", "clientKey"] as const
const upper = (name: string): string => name.replaceAll(/[A-Z]/g, "_$&").toUpperCase()

/** Option → the variable that says the same. */
export const variables: ReadonlyMap<string, string> = new Map<string, string>([
  ...fileKeys.map((key): [string, string] => [camel(key), variableOf(key)]),
  ["storage", "NETSY_STORAGE"],
  ["nodeId", "NETSY_NODE_ID"],
  ["dataDir", "NETSY_DATA_DIR"],
  ...listeners.map((name): [string, string] => [`bind.${name}`, `NETSY_BIND_${upper(name)}`]),
  ...listeners.slice(0, 3).map((name): [string, string] => [`advertise.${name}`, `NETSY_ADVERTISE_${upper(name)}`]),
  ...tlsFiles.map((name): [string, string] => [`tls.${name}`, `NETSY_TLS_${upper(name)}`])
])

const options = new Map([...variables].map(([option, variable]) => [variable, option]))
const durations = new Set(
  settingTable.filter(({ type }) => type === "duration" || type === "either").map(({ key }) => camel(key))
)
/** Said to layers directly, or to nobody but this file. */
const others = ["s3", "gcs", "network", "log.to", "log.level"]

const durationText = (value: unknown): string => {
  // What is neither of Effect's forms may be Go's; what is that neither, is told.
  const duration = Duration.fromInput(value as Duration.Input)
  if (Option.isNone(duration) || !Duration.isFinite(duration.value)) return String(value)
  return formatDuration(Duration.toNanosUnsafe(duration.value))
}

const textOf = (path: string, value: unknown, isCount: boolean): string => {
  if (durations.has(path) && !isCount) return durationText(value)
  return Array.isArray(value) ? value.join(",") : String(value)
}

interface Flat {
  readonly env: Record<string, string>
  readonly problems: Array<Problem>
}

const isGroup = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !Duration.isDuration(value)

/** Options as variables. */
const flatten = (given: Partial<DaemonOptions & NetsyOptions>): Flat => {
  const flat: Flat = { env: {}, problems: [] }
  const isCount = given.autoCompaction?.mode === "revision"
  const walk = (group: Record<string, unknown>, prefix: string): void => {
    for (const [name, value] of Object.entries(group)) {
      const path = `${prefix}${name}`
      if (value === undefined || others.includes(path)) continue
      const variable = variables.get(path)
      const isLeaf = variable !== undefined && !(isGroup(value) && !durations.has(path))
      if (isLeaf) flat.env[variable] = textOf(path, value, isCount && path === "autoCompaction.retention")
      else if (isGroup(value)) walk(value, `${path}.`)
      else {
        const meant = nearest(path, [...variables.keys()])
        const hint = meant === undefined ? "" : ` (did you mean ${meant}?)`
        flat.problems.push({ key: path, value: JSON.stringify(value), allowed: `no option of this name${hint}` })
      }
    }
  }
  walk(given as Record<string, unknown>, "")
  return flat
}

const fileKeyPattern = new RegExp(
  fileKeys
    .filter((key) => key.includes("_"))
    .join("|")
    .replaceAll(".", "\\."),
  "g"
)

/** In the words of whoever wrote options. */
const inOptions =
  (given: ReadonlySet<string>) =>
  ({ allowed, key, source, value }: Problem): Problem => {
    const isFileKey = (fileKeys as ReadonlyArray<string>).includes(key)
    const variable = isFileKey ? variableOf(key as FileKey) : key
    // What comes from a variable or a file keeps the name that it has there.
    const isOption = given.has(variable) || given.has(source ?? "") || value === undefined
    const name = isOption ? (options.get(source ?? "") ?? options.get(variable) ?? key) : key
    const shown = {
      key: name === "--config" ? "storage" : name,
      value,
      allowed: name === "--config" ? "dir:PATH, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX" : allowed
    }
    if (!isOption) return source === undefined ? shown : { ...shown, source }
    return {
      ...shown,
      allowed: shown.allowed
        .replaceAll(fileKeyPattern, camel)
        .replaceAll(/NETSY_[A-Z_]+/g, (name) => options.get(name) ?? name)
        .replace("with --insecure only", "without tls only")
    }
  }

export interface Given {
  readonly options: Partial<DaemonOptions & NetsyOptions>
  /** Weaker than the options. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly ports: boolean
}

/** A node in a program has no address; it is known by its name. */
const namedAddresses = (nodeId: string): Record<string, string> => {
  const host = isIdentifier(nodeId) ? nodeId : "nobody"
  return {
    NETSY_ADVERTISE_CLIENT: `${host}:2378`,
    NETSY_ADVERTISE_PEER: `${host}:2381`,
    NETSY_ADVERTISE_ELECTION: `${host}:8443`
  }
}

/** Several nodes in one process do not share a disk. */
const ownDataDir = (storage: unknown, nodeId: string): string => {
  const place = typeof storage === "string" ? parseStorageWord(storage) : (storage as NetsyOptions["storage"])
  const path = typeof place === "object" && place.provider === "directory" ? place.path : undefined
  return path === undefined ? posix.join("netsy-data", nodeId) : posix.join(path, ".node", nodeId)
}

export const settingsOf = ({ env = {}, options: given, ports }: Given): Effect.Effect<SettingsShape, ConfigError> =>
  Effect.suspend(() => {
    const flat = flatten(given)
    const merged: Record<string, string | undefined> = { ...env, ...flat.env }
    const isEmbedded = (merged["NETSY_CONFIG"] ?? "") === ""
    const problems: Array<Problem> = [...flat.problems]
    if (isEmbedded) {
      if (given.network === undefined) merged["NETSY_NODE_ID"] ??= "node-1"
      else if (merged["NETSY_NODE_ID"] !== undefined) {
        merged["NETSY_DATA_DIR"] ??= ownDataDir(merged["NETSY_STORAGE"] ?? given.storage, merged["NETSY_NODE_ID"])
      } else problems.push({ key: "nodeId", value: undefined, allowed: "a name of its own for each node of a network" })
    }
    if (!ports) Object.assign(merged, namedAddresses(merged["NETSY_NODE_ID"] ?? ""))
    const storage = merged["NETSY_STORAGE"]
    // Places given one by one need a word to be an embedded node; the keys fill it.
    if (isEmbedded && storage === undefined && isGroup(given.storage)) {
      flat.env["NETSY_STORAGE"] = merged["NETSY_STORAGE"] = wordOf(given.storage)
    }
    const resolved = resolveSettings({
      argv: ports && given.tls !== undefined ? [] : ["--insecure"],
      env: ports && given.tls === undefined ? withoutTls(merged) : merged,
      cwd: process.cwd(),
      readFile: (path) => readFileSync(path, "utf8")
    })
    if (!resolved.ok) problems.push(...resolved.problems.map(inOptions(new Set(Object.keys(flat.env)))))
    if (!resolved.ok || problems.length > 0) return Effect.fail(new ConfigError({ problems }))
    const { settings } = resolved
    const { level = ports ? "info" : "warn", to = "stderr" } = given.log ?? {}
    const outputs = to === "stderr" ? ["stderr"] : []
    return Effect.succeed({ ...settings, log: { ...settings.log, level, debug: level === "debug", outputs } })
  })

const withoutTls = (env: Record<string, string | undefined>): Record<string, string | undefined> =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("NETSY_TLS_")))

/** One word for a place that was given in parts; what is wrong with the parts shows in the word. */
const wordOf = ({ bucketName = "", keyPrefix = "", path = "", provider }: Record<string, unknown>): string =>
  provider === "directory" ? `dir:${path}` : `${provider === "gcs" ? "gs" : "s3"}://${bucketName}/${keyPrefix}`
