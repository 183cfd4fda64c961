/**
 * From command line, variables and file to `Settings`, or to the list of everything that is wrong. Flags win over
 * variables, variables over the file. Pure: the caller hands in how to read a file.
 */
import { posix } from "node:path"
import type { ApiSettings, SettingsShape } from "../../services/Settings.ts"
import { resolveApi } from "./api.ts"
import { type ClusterFile, parseClusterFile } from "./clusterFile.ts"
import { formatMillis } from "./duration.ts"
import { millisOfText } from "./durationRule.ts"
import { allVariables } from "./fields.ts"
import { type Flags, parseFlags } from "./flags.ts"
import { identifierRule, isIdentifier } from "./identifier.ts"
import { editDistance, nearest } from "./nearest.ts"
import { ignoredTlsVariables, resolveNode } from "./node.ts"
import { variableSpec } from "./nodeVariables.ts"
import type { Problem } from "./problem.ts"
import { Reading } from "./reading.ts"
import { settingOf } from "./settingTable.ts"
import { resolveStorage } from "./storage.ts"

export interface ResolveInput {
  /** Without the names of the interpreter and the program. */
  readonly argv: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string | undefined>>
  /** Throws when the file cannot be read. */
  readonly readFile: (path: string) => string
  /** Absolute. */
  readonly cwd: string
}

export type Resolved =
  | { readonly ok: true; readonly settings: SettingsShape; readonly warnings: ReadonlyArray<string> }
  | { readonly ok: false; readonly problems: ReadonlyArray<Problem>; readonly warnings: ReadonlyArray<string> }

export const resolveSettings = (input: ResolveInput): Resolved => {
  const { flags, problems } = parseFlags(input.argv)
  return resolveWithFlags(input, flags, problems)
}

export const resolveWithFlags = (input: ResolveInput, flags: Flags, flagProblems: ReadonlyArray<Problem>): Resolved => {
  const { env, cwd } = input
  const problems: Array<Problem> = [...flagProblems]
  const configPath = flags.validate ?? flags.config ?? (env["NETSY_CONFIG"] || undefined)
  const word = storageWord(flags, env)
  if (configPath === undefined && word === undefined) {
    problems.push({
      key: "--config",
      value: undefined,
      allowed: "the path of a cluster file (or NETSY_CONFIG); or, for one node without a file, --storage dir:PATH"
    })
    return { ok: false, problems, warnings: unknownVariables(env) }
  }
  const embedded = configPath === undefined
  const file = embedded ? emptyFile : readClusterFile(input, configPath)
  problems.push(...file.problems)

  const reading = new Reading(file.given, env, embedded)
  reading.warnings.push(...file.warnings, ...unknownVariables(env))
  const storage = resolveStorage(reading, word, cwd)
  const cluster = resolveCluster(reading, storage.provider)
  const api = resolveApi(reading, cwd)
  const { node, problems: nodeProblems } = resolveNode({
    env,
    cwd,
    embedded,
    insecure: flags.insecure,
    complete: flags.validate === undefined,
    dataDirFallback: embedded ? embeddedDataDir(storage.path) : variableSpec("NETSY_DATA_DIR").fallback
  })
  const debug = flags.verbose || env["NETSY_DEBUG"] === "true"
  const format = reading.choice("log.format")
  // A file that could not be read would be reported again as dozens of missing keys.
  const unreadable = file.problems.length > 0 && file.given.size === 0
  problems.push(...(unreadable ? [] : reading.problems), ...nodeProblems)
  if (storage.provider === "directory") problems.push(...visibleDataDir(storage.path, node.dataDir))
  if (flags.insecure && ignoredTlsVariables(env).length > 0) {
    reading.warnings.push(`--insecure: no TLS; ${ignoredTlsVariables(env).join(", ")} have no effect`)
  }

  const { warnings } = reading
  if (problems.length > 0) return { ok: false, problems, warnings }
  const log = { format, debug, level: debug ? ("debug" as const) : ("info" as const), outputs: ["stderr"] }
  return { ok: true, settings: { ...cluster, ...api, ...node, storage, log, etcd: undefined }, warnings }
}

const emptyFile: ClusterFile = { given: new Map(), problems: [], warnings: [] }

const readClusterFile = (input: ResolveInput, path: string): ClusterFile => {
  try {
    return parseClusterFile(path, input.readFile(posix.resolve(input.cwd, path)))
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    const problem = { key: path, value: reason, allowed: "a readable cluster file" }
    return { given: new Map(), problems: [problem], warnings: [] }
  }
}

const storageWord = (flags: Flags, env: ResolveInput["env"]) => {
  if (flags.storage !== undefined) return { text: flags.storage, source: "--storage" }
  const text = env["NETSY_STORAGE"]
  return text === undefined || text === "" ? undefined : { text, source: "NETSY_STORAGE" }
}

/** Inside a directory store its name starts with a dot, which the store does not list. */
const embeddedDataDir = (storagePath: string): string =>
  storagePath === "" ? "./netsy-data" : posix.join(storagePath, ".node")

const visibleDataDir = (storagePath: string, dataDir: string): ReadonlyArray<Problem> => {
  const inside = posix.relative(storagePath, dataDir)
  if (inside.startsWith(".")) return []
  return [
    {
      key: "NETSY_DATA_DIR",
      value: dataDir,
      allowed: `a directory outside of the store ${storagePath}, or in it under a name with a leading dot`
    }
  ]
}

export const unknownVariables = (env: ResolveInput["env"]): ReadonlyArray<string> =>
  Object.keys(env).flatMap((name) => {
    if (!name.startsWith("NETSY_") || allVariables.includes(name)) return []
    // Others own names with this prefix too (Kubernetes adds NETSY_PORT…): only likely slips are mentioned.
    const meant = nearest(name, allVariables)
    if (meant === undefined || editDistance(name, meant) > slipDistanceMax) return []
    return [`unknown variable ${name} is ignored; did you mean ${meant}?`]
  })

const slipDistanceMax = 2

type ClusterSettings = Omit<
  SettingsShape,
  keyof ApiSettings | "storage" | "log" | "nodeId" | "dataDir" | "bind" | "advertise" | "tls" | "etcd"
>

const neverOr = (millis: number): number | undefined => (millis <= 0 ? undefined : millis)

const thresholdOr = (count: number): number | undefined => (count <= 0 ? undefined : count)

type Provider = SettingsShape["storage"]["provider"]

export const resolveCluster = (reading: Reading, provider: Provider): ClusterSettings => {
  const clusterId = reading.text("cluster_id")
  if (!isIdentifier(clusterId)) reading.refuse("cluster_id", identifierRule)

  return {
    clusterId,
    heartbeatIntervalMillis: reading.duration("heartbeat_interval"),
    elector: resolveElector(reading),
    replication: resolveReplication(reading, provider),
    snapshot: resolveSnapshot(reading),
    compactionIntervalMillis: Math.max(0, reading.duration("compaction_interval")),
    limits: {
      maxRequestBytes: reading.integer("limits.max_request_bytes"),
      maxTxnOps: reading.integer("limits.max_txn_ops"),
      quotaBytes: reading.integer("limits.quota_bytes")
    },
    watch: { progressIntervalMillis: reading.duration("watch.progress_interval") }
  }
}

const resolveElector = (reading: Reading): ClusterSettings["elector"] => {
  const heartbeat = reading.duration("heartbeat_interval")
  const degradationCount = reading.integer("elector.degradation_count")
  const priorMin = degradationCount * heartbeat
  const priorTimeout = reading.duration("elector.primary_prior_timeout", {
    allowed:
      heartbeat === 0
        ? "a duration of elector.degradation_count x heartbeat_interval or more"
        : `a duration of ${formatMillis(priorMin)} or more (elector.degradation_count x heartbeat_interval)`,
    accept: (millis) => millis > 0 && millis >= priorMin
  })
  const isDefault = reading.given("elector.primary_prior_timeout") === undefined
  return {
    degradationCount,
    deregistrationTimeoutMillis: neverOr(reading.duration("elector.deregistration_timeout")),
    primaryPriorTimeoutMillis: isDefault ? Math.max(priorTimeout, priorMin) : priorTimeout,
    abandonAfterMillis: neverOr(reading.duration("elector.abandon_after"))
  }
}

const resolveReplication = (reading: Reading, provider: Provider): ClusterSettings["replication"] => {
  const quorum = reading.integer("replication.quorum")
  if (quorum < -1) reading.warnings.push(`replication.quorum ${quorum} is read as -1 (majority)`)
  const age = reading.integer("replication.chunk_buffer.threshold_age_minutes")
  const limitMib = reading.integer("replication.chunk_buffer.limit_mb")
  const size = reading.integer("replication.chunk_buffer.threshold_size_mb")
  if (quorum !== 0 && age === 0) {
    reading.refuse(
      "replication.chunk_buffer.threshold_age_minutes",
      "a whole number, 1 or more, unless replication.quorum is 0"
    )
  }
  if (size > limitMib) {
    reading.refuse(
      "replication.chunk_buffer.threshold_size_mb",
      `at most replication.chunk_buffer.limit_mb (${limitMib})`
    )
  }
  const lease = "replication.store_lease"
  return {
    quorum: Math.max(-1, quorum),
    degradationCount: reading.integer("replication.degradation_count"),
    // Shorter than a slow PUT it would be lost all the time; longer, a crash stops writes for minutes.
    storeLeaseMillis:
      reading.given(lease) === undefined
        ? undefined
        : reading.duration(lease, provider === "gcs" ? gcsLeaseRule : undefined),
    chunkBuffer: { thresholdSizeMib: Math.max(0, size), thresholdAgeMinutes: age, limitMib }
  }
}

/** Renewed three times in its length, and elections write the same object. */
const gcsLeaseRule = {
  allowed: "a duration from 4s to 10m on GCS, which takes one write a second of one object",
  accept: (millis: number) => millis >= 4_000 && millis <= 600_000
}

const resolveSnapshot = (reading: Reading): ClusterSettings["snapshot"] => {
  const batchSize = reading.integer("snapshot.cleanup_batch_size")
  const pauseMillis = reading.duration("snapshot.cleanup_batch_interval")
  return {
    thresholdRecords: thresholdOr(reading.integer("snapshot.threshold_records")),
    thresholdSizeMib: thresholdOr(reading.integer("snapshot.threshold_size_mb")),
    thresholdAgeMinutes: thresholdOr(reading.integer("snapshot.threshold_age_minutes")),
    cleanupStrategy: reading.choice("snapshot.cleanup_strategy"),
    cleanupBatchSize: batchSize <= 0 ? settingOf("snapshot.cleanup_batch_size").fallback : batchSize,
    cleanupBatchIntervalMillis:
      pauseMillis === 0 ? millisOfText(settingOf("snapshot.cleanup_batch_interval").fallback!) : pauseMillis,
    keep: reading.integer("snapshot.keep"),
    historyMillis: reading.duration("snapshot.history")
  }
}
