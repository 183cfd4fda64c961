/**
 * Every key of the cluster file with its type, default, bounds and meaning. What a node accepts, what its errors say and
 * the tables of docs/configuration.md come from here. Source: netsy-1x.md 12.1, design 8.
 *
 * A fallback that is left out: the key must be given. `alone` replaces it for one node without a file, and for `netsy etcd`.
 * `also` is a rule that other settings decide; the code that knows them checks it.
 */
import type { Setting } from "./settingKinds.ts"

const storageProviders = ["s3", "gcs", "directory"] as const

/** MiB values stay exact as bytes. */
const mibMax = 2 ** 32
const countMax = 1e6

export const settingTable = [
  {
    key: "cluster_id",
    type: "text",
    alone: "netsy",
    also: "as the node id",
    about: "name of the cluster; stands in every certificate"
  },
  {
    key: "heartbeat_interval",
    type: "duration",
    alone: "1s",
    bounds: { above: "0s" },
    about: "how often a node tells the Elector that it lives"
  },
  {
    key: "compaction_interval",
    type: "duration",
    fallback: "0s",
    bounds: { zero: "off" },
    about: "how often history is compacted that no watch needs, see [compaction.md](compaction.md)"
  },

  {
    key: "storage.provider",
    type: "choice",
    fallback: "s3",
    allowed: storageProviders,
    about: "what keeps the data for good"
  },
  { key: "storage.bucket_name", type: "text", also: "needed with `s3` and `gcs`", about: "name of an existing bucket" },
  {
    key: "storage.key_prefix",
    type: "text",
    fallback: "",
    about: "put before the key of every object; `/` is appended when missing"
  },
  {
    key: "storage.class",
    type: "choice",
    fallback: "STANDARD",
    allowed: ["STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "NEARLINE", "COLDLINE", "ARCHIVE"],
    also: "`s3`: the first three; `gcs`: the first and the last three; `directory`: the first",
    about: "storage class of what is written"
  },
  {
    key: "storage.encryption",
    type: "choice",
    fallback: "provider-managed",
    allowed: ["provider-managed", "customer-managed"],
    also: "a directory has no keys",
    about: "whose key the store encrypts with"
  },
  {
    key: "storage.kms_key_id",
    type: "text",
    fallback: "",
    also: "needed with `customer-managed`",
    about: "the key that the store encrypts with"
  },
  {
    key: "storage.path",
    type: "text",
    also: "needed with `directory`",
    about: "the directory, on a local disk. The data directory may lie in it only under a name with a leading dot"
  },

  {
    key: "elector.degradation_count",
    type: "integer",
    unit: "heartbeats",
    fallback: 2,
    min: 1,
    max: countMax,
    zeroIsFallback: true,
    about: "missed ones until a node is degraded"
  },
  {
    key: "elector.deregistration_timeout",
    type: "duration",
    fallback: "3m",
    bounds: { zero: "never" },
    about: "a node that has been degraded for so long is taken out of the cluster"
  },
  {
    key: "elector.primary_prior_timeout",
    type: "duration",
    alone: "5s",
    bounds: { above: "0s" },
    also: "≥ `elector.degradation_count` × `heartbeat_interval`",
    about: "how long an election waits for a former Primary that still answers"
  },
  {
    key: "elector.abandon_after",
    type: "duration",
    fallback: "0s",
    bounds: { zero: "never" },
    about: "an unreachable voter counts as gone for good after so long, see [cluster.md](cluster.md)"
  },

  {
    key: "replication.quorum",
    type: "integer",
    unit: "nodes",
    fallback: -1,
    max: 1_000,
    about:
      "how many must have a write on disk: -1 a majority, 0 none (the store first), n that many replicas. Below -1 is read as -1, with a warning"
  },
  {
    key: "replication.degradation_count",
    type: "integer",
    unit: "heartbeats",
    fallback: 2,
    min: 1,
    max: countMax,
    zeroIsFallback: true,
    about: "so many without a receipt until a replica does not count"
  },
  {
    key: "replication.store_lease",
    type: "duration",
    usually: "`6s` on S3, `12s` on GCS, `3s` on a directory, `30s` for a lone node on S3 or GCS",
    bounds: { min: "200ms", max: "10m" },
    also: "on GCS `4s` or more",
    about: "how long a Primary may decide without renewing"
  },
  {
    key: "replication.chunk_buffer.threshold_size_mb",
    type: "integer",
    unit: "MiB",
    fallback: 0,
    alone: 4,
    max: mibMax,
    also: "at most `replication.chunk_buffer.limit_mb`",
    about: "a chunk is written at this size; 0 or negative: not by size"
  },
  {
    key: "replication.chunk_buffer.threshold_age_minutes",
    type: "integer",
    unit: "minutes",
    fallback: 0,
    alone: 1,
    min: 0,
    max: countMax,
    also: "1 or more unless `replication.quorum` is 0",
    about: "a chunk is written at this age"
  },
  {
    key: "replication.chunk_buffer.limit_mb",
    type: "integer",
    unit: "MiB",
    fallback: 256,
    min: 1,
    max: mibMax,
    about: "a buffer as large as this stops writes until the store takes chunks again"
  },

  {
    key: "snapshot.threshold_records",
    type: "integer",
    unit: "records",
    fallback: 10_000,
    zeroIsFallback: true,
    about: "so many behind the newest snapshot ask for another; negative: off"
  },
  {
    key: "snapshot.threshold_size_mb",
    type: "integer",
    unit: "MiB",
    fallback: 10_000,
    max: mibMax,
    zeroIsFallback: true,
    about: "chunks of so much behind the newest snapshot ask for another; negative: off"
  },
  {
    key: "snapshot.threshold_age_minutes",
    type: "integer",
    unit: "minutes",
    fallback: 0,
    max: 1e9,
    about: "a newest snapshot of this age asks for another; 0 or negative: off"
  },
  {
    key: "snapshot.cleanup_strategy",
    type: "choice",
    fallback: "auto",
    allowed: ["auto", "list", "direct"],
    about: "whether chunks behind a snapshot are listed before they are deleted, or deleted by name"
  },
  {
    key: "snapshot.cleanup_batch_size",
    type: "integer",
    unit: "objects",
    fallback: 250,
    max: countMax,
    about: "deleted in one go; 0 or negative: 250"
  },
  {
    key: "snapshot.cleanup_batch_interval",
    type: "duration",
    fallback: "1s",
    bounds: { min: "0s" },
    about: "pause between two of them; 0: `1s`"
  },
  {
    key: "snapshot.keep",
    type: "integer",
    unit: "snapshots",
    fallback: 3,
    min: 1,
    max: countMax,
    about: "so many stay at least"
  },
  {
    key: "snapshot.history",
    type: "duration",
    fallback: "24h",
    bounds: { min: "0s" },
    about: "what is needed to restore any moment in it stays"
  },

  {
    key: "limits.max_request_bytes",
    type: "integer",
    unit: "bytes",
    fallback: 1_572_864,
    min: 1_024,
    max: 2 ** 26,
    about: "the largest request"
  },
  {
    key: "limits.max_txn_ops",
    type: "integer",
    unit: "operations",
    fallback: 128,
    min: 1,
    max: 65_536,
    about: "the largest transaction"
  },
  {
    key: "limits.quota_bytes",
    type: "integer",
    unit: "bytes",
    fallback: 0,
    min: 0,
    about: "above it writes get etcd's NOSPACE; 0: none"
  },

  {
    key: "watch.progress_interval",
    type: "duration",
    fallback: "10m",
    bounds: { above: "0s" },
    about: "a watch that asked for it hears how far it is when it has heard nothing for so long"
  },

  {
    key: "auto_compaction.mode",
    type: "choice",
    fallback: "periodic",
    allowed: ["periodic", "revision"],
    about: "what `auto_compaction.retention` counts"
  },
  {
    key: "auto_compaction.retention",
    type: "either",
    usually: "0: off",
    about: "history that stays: a duration with `periodic`, a number of revisions with `revision`"
  },

  {
    key: "compaction.batch_limit",
    type: "integer",
    unit: "revisions",
    fallback: 1_000,
    min: 1,
    max: 1e6,
    about: "removed in one go"
  },
  {
    key: "compaction.sleep_interval",
    type: "duration",
    fallback: "10ms",
    bounds: { min: "0s" },
    about: "pause between two of them"
  },

  {
    key: "lease.min_ttl",
    type: "duration",
    fallback: "2s",
    bounds: { wholeSecondsMin: "1s" },
    about: "leases that are asked for with less get so much"
  },

  {
    key: "auth.token",
    type: "text",
    fallback: "simple",
    also: "`simple`, or `jwt,sign-method=RS256,pub-key=PATH,priv-key=PATH,ttl=5m`; methods RS, PS, ES and HS with 256, 384 or 512, and EdDSA",
    about: "how the tokens of users are made. With the public key alone tokens are checked but not issued"
  },
  {
    key: "auth.token_ttl",
    type: "duration",
    fallback: "5m",
    bounds: { wholeSecondsMin: "1s" },
    about: "a simple token that is not used for so long is void"
  },
  {
    key: "auth.bcrypt_cost",
    type: "integer",
    unit: "cost",
    fallback: 10,
    min: 4,
    max: 31,
    about: "of hashing passwords"
  },
  {
    key: "auth.client_cert_auth",
    type: "switch",
    fallback: false,
    about: "the common name of a client's certificate counts as user name where auth is on"
  },

  { key: "http.gateway", type: "switch", fallback: true, about: "the JSON gateway `/v3/...` on the client port" },
  {
    key: "http.cors",
    type: "text",
    fallback: "*",
    about: "origins that browsers may call from, with commas between them"
  },
  {
    key: "http.host_whitelist",
    type: "text",
    fallback: "*",
    about: "values of the `Host` header that are answered in plain text, with commas between them"
  },

  {
    key: "metrics.level",
    type: "choice",
    fallback: "basic",
    allowed: ["basic", "extensive"],
    about: "as etcd's flag has it; `/metrics` shows everything with both"
  },
  {
    key: "log.format",
    type: "choice",
    fallback: "text",
    allowed: ["text", "json"],
    about: "how the lines on stderr look"
  }
] as const satisfies ReadonlyArray<Setting>

type Row = (typeof settingTable)[number]

export type FileKey = Row["key"]

/** Keys of one type. */
export type KeyOf<Type extends Setting["type"]> = Extract<Row, { readonly type: Type }>["key"]

export type ChoiceOf<Key extends KeyOf<"choice">> = Extract<Row, { readonly key: Key }>["allowed"][number]

type SettingOf<Key extends FileKey> = Extract<Setting, { readonly type: Extract<Row, { readonly key: Key }>["type"] }>

const byKey: ReadonlyMap<string, Setting> = new Map(settingTable.map((setting) => [setting.key, setting]))

export const settingOf = <Key extends FileKey>(key: Key): SettingOf<Key> => byKey.get(key) as SettingOf<Key>

/** Groups of keys, and what they are about. */
export const groupTable: Readonly<Record<string, string>> = {
  storage: "where the data lives for good",
  elector: "who watches over the nodes",
  replication: "what a write waits for",
  "replication.chunk_buffer": "what is acknowledged and not yet in the store",
  snapshot: "snapshots in the store, and what is deleted behind them",
  limits: "what a request may be",
  watch: "watches",
  auto_compaction: "compaction by itself",
  compaction: "how history is removed",
  lease: "leases",
  auth: "users and their tokens",
  http: "plain HTTP on the client port",
  metrics: "metrics",
  log: "the log"
}
