/**
 * Every key of the cluster file and every variable of the node. Each key of the file has a variable of its own:
 * `NETSY_` + its path in capitals, `.` as `_`. Source: netsy-1x.md 12.1 and 12.3, design 8.
 */

export const fileKeys = [
  "cluster_id",
  "storage.provider",
  "storage.bucket_name",
  "storage.key_prefix",
  "storage.class",
  "storage.encryption",
  "storage.kms_key_id",
  "storage.path",
  "heartbeat_interval",
  "elector.degradation_count",
  "elector.deregistration_timeout",
  "elector.primary_prior_timeout",
  "elector.abandon_after",
  "replication.quorum",
  "replication.degradation_count",
  "replication.store_lease",
  "replication.chunk_buffer.threshold_size_mb",
  "replication.chunk_buffer.threshold_age_minutes",
  "replication.chunk_buffer.limit_mb",
  "snapshot.threshold_records",
  "snapshot.threshold_size_mb",
  "snapshot.threshold_age_minutes",
  "snapshot.cleanup_strategy",
  "snapshot.cleanup_batch_size",
  "snapshot.cleanup_batch_interval",
  "snapshot.keep",
  "snapshot.history",
  "compaction_interval",
  "limits.max_request_bytes",
  "limits.max_txn_ops",
  "limits.quota_bytes",
  "watch.progress_interval",
  "auto_compaction.mode",
  "auto_compaction.retention",
  "compaction.batch_limit",
  "compaction.sleep_interval",
  "lease.min_ttl",
  "auth.token",
  "auth.token_ttl",
  "auth.bcrypt_cost",
  "auth.client_cert_auth",
  "http.gateway",
  "http.cors",
  "http.host_whitelist",
  "metrics.level",
  "log.format"
] as const

export type FileKey = (typeof fileKeys)[number]

export const fileGroups = [
  "storage",
  "elector",
  "replication",
  "replication.chunk_buffer",
  "snapshot",
  "limits",
  "watch",
  "auto_compaction",
  "compaction",
  "lease",
  "auth",
  "http",
  "metrics",
  "log"
]

export const variableOf = (key: FileKey): string => `NETSY_${key.toUpperCase().replaceAll(".", "_")}`

/** What a node knows about itself; not in the cluster file. */
export const nodeVariables = [
  "NETSY_CONFIG",
  "NETSY_STORAGE",
  "NETSY_NODE_ID",
  "NETSY_DATA_DIR",
  "NETSY_DEBUG",
  "NETSY_BIND_CLIENT",
  "NETSY_BIND_PEER",
  "NETSY_BIND_ELECTION",
  "NETSY_BIND_HEALTH",
  "NETSY_ADVERTISE_CLIENT",
  "NETSY_ADVERTISE_PEER",
  "NETSY_ADVERTISE_ELECTION",
  "NETSY_TLS_CA_CERT",
  "NETSY_TLS_SERVER_CERT",
  "NETSY_TLS_SERVER_KEY",
  "NETSY_TLS_CLIENT_CERT",
  "NETSY_TLS_CLIENT_KEY"
] as const

export type NodeVariable = (typeof nodeVariables)[number]

export const allVariables: ReadonlyArray<string> = [...nodeVariables, ...fileKeys.map(variableOf)]
