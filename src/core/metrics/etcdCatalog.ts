/**
 * etcd's metrics by their names and types, which dashboards and alert rules know (etcd-api.md 5.1). All are shown from
 * the start. Whoever updates one registers it again with the same options and gets the same metric.
 */
import { counter, gauge, histogram } from "./entry.ts"

const doubling = (first: number, count: number): ReadonlyArray<number> =>
  Array.from({ length: count }, (_, i) => first * 2 ** i)

/** 1 ms … 8 s, as etcd has it for its disk. */
const diskSeconds = doubling(0.001, 14)

export const etcdCatalog = {
  hasLeader: gauge("etcd_server_has_leader", "1 when this node knows a Primary."),
  isLeader: gauge("etcd_server_is_leader", "1 when this node is the Primary."),
  isLearner: gauge("etcd_server_is_learner", "Always 0: every node of the cluster votes."),
  leaderChanges: counter("etcd_server_leader_changes_seen_total", "Changes of the Primary that this node has seen."),
  proposalsCommitted: gauge("etcd_server_proposals_committed_total", "Index of the last committed log entry."),
  proposalsApplied: gauge("etcd_server_proposals_applied_total", "Index of the last applied log entry."),
  proposalsPending: gauge("etcd_server_proposals_pending", "Log entries that wait to be committed."),
  proposalsFailed: counter("etcd_server_proposals_failed_total", "Writes that were not committed."),
  slowApply: counter("etcd_server_slow_apply_total", "Always 0: an entry is applied when it is evaluated."),
  slowReadIndexes: counter(
    "etcd_server_slow_read_indexes_total",
    "Always 0: reads that take long show in grpc_server_handling_seconds."
  ),
  readIndexesFailed: counter(
    "etcd_server_read_indexes_failed_total",
    "Always 0: reads that fail show in grpc_server_handled_total."
  ),
  heartbeatSendFailures: counter(
    "etcd_server_heartbeat_send_failures_total",
    "Always 0: nodes do not send each other heartbeats of a consensus."
  ),
  healthSuccess: counter("etcd_server_health_success", "Health checks that passed."),
  healthFailures: counter("etcd_server_health_failures", "Health checks that failed."),
  healthCheck: gauge("etcd_server_healthcheck", "1 when this check passed the last time.", "type", "name"),
  healthChecks: counter("etcd_server_healthchecks_total", "Checks by their results.", "type", "name", "status"),
  serverVersion: gauge("etcd_server_version", "The etcd version whose API is served, always 1.", "server_version"),
  clusterVersion: gauge("etcd_cluster_version", "The etcd version of the cluster, always 1.", "cluster_version"),
  serverId: gauge("etcd_server_id", "Member id in hexadecimal, always 1.", "server_id"),
  quotaBytes: gauge("etcd_server_quota_backend_bytes", "Quota of the store; 0: none."),
  clientRequests: counter(
    "etcd_server_client_requests_total",
    "Requests of clients by kind and version of their API.",
    "type",
    "client_api_version"
  ),
  dbTotalSize: gauge("etcd_mvcc_db_total_size_in_bytes", "Size of the node's database."),
  dbInUseSize: gauge("etcd_mvcc_db_total_size_in_use_in_bytes", "Size of what is in use in the node's database."),
  puts: counter("etcd_mvcc_put_total", "Puts, also those in transactions."),
  deletes: counter("etcd_mvcc_delete_total", "Delete ranges, also those in transactions."),
  ranges: counter("etcd_mvcc_range_total", "Ranges, also those in transactions."),
  txns: counter("etcd_mvcc_txn_total", "Transactions."),
  keys: gauge("etcd_debugging_mvcc_keys_total", "Keys that exist."),
  watchStreams: gauge("etcd_debugging_mvcc_watch_stream_total", "Open watch streams."),
  watchers: gauge("etcd_debugging_mvcc_watcher_total", "Open watches."),
  slowWatchers: gauge("etcd_debugging_mvcc_slow_watcher_total", "Watches that catch up from history."),
  events: counter("etcd_debugging_mvcc_events_total", "Events sent to watches."),
  pendingEvents: gauge("etcd_debugging_mvcc_pending_events_total", "Events that wait to be sent."),
  currentRevision: gauge("etcd_debugging_mvcc_current_revision", "Current revision of the store."),
  compactRevision: gauge("etcd_debugging_mvcc_compact_revision", "Revision of the last compaction."),
  leasesGranted: counter("etcd_debugging_lease_granted_total", "Leases granted."),
  leasesRevoked: counter("etcd_debugging_lease_revoked_total", "Leases revoked, by clients or by time."),
  leasesRenewed: counter("etcd_debugging_lease_renewed_total", "Leases renewed."),
  leaseTtl: histogram("etcd_debugging_lease_ttl_total", "Times to live of leases, in seconds.", doubling(1, 24)),
  leasesExpired: counter("etcd_debugging_server_lease_expired_total", "Leases that ran out."),
  walFsync: histogram(
    "etcd_disk_wal_fsync_duration_seconds",
    "Time of one durable append to the log on the node's own disk.",
    diskSeconds
  ),
  backendCommit: histogram(
    "etcd_disk_backend_commit_duration_seconds",
    "Time of one transaction on the node's database, which holds log and keys.",
    diskSeconds
  ),
  grpcReceived: counter("etcd_network_client_grpc_received_bytes_total", "Bytes of messages received from clients."),
  grpcSent: counter("etcd_network_client_grpc_sent_bytes_total", "Bytes of messages sent to clients."),
  peerRoundTrip: histogram(
    "etcd_network_peer_round_trip_time_seconds",
    "Round trip time of heartbeats to the Elector, by its node id.",
    doubling(0.0001, 16),
    "To"
  )
} as const
