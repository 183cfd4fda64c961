/** What a metric's own description does not say: values of its labels, and what about it should wake somebody. */

const results = "`success`, `error`"

/** By metric, or for all that have the label. */
export const labelValues: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "*": {
    result: results,
    grpc_type: "`unary`, `client_stream`, `server_stream`, `bidi_stream`",
    grpc_service: "`etcdserverpb.KV` …",
    grpc_method: "`Range` …",
    grpc_code: "`OK`, `Unavailable` …"
  },
  netsy_info: { quorum_config: "`disabled`, `majority`, `static:N`" },
  netsy_state_health: { state: "`loading`, `healthy`, `degraded`" },
  netsy_state_elector: { state: "`follower`, `leader`" },
  netsy_state_primary: { state: "`replica`, `starting`, `active`, `draining`" },
  netsy_retries_total: { operation: "`object_storage_write`, `heartbeat_send`" },
  netsy_client_requests_total: { kind: "`range`, `txn`, `range_stream`" },
  netsy_client_request_duration_seconds: { kind: "`range`, `txn`, `range_stream`" },
  netsy_object_storage_writes_total: { kind: "`chunk`", mode: "`sync`" },
  netsy_object_storage_write_duration_seconds: { kind: "`chunk`", mode: "`sync`" },
  netsy_object_storage_write_bytes: { kind: "`chunk`", mode: "`sync`" },
  netsy_loading_stage_duration_seconds: { stage: "`registration`, `backfill`" },
  netsy_local_db_rebuilds_total: { reason: "`integrity_check_failed`" },
  netsy_primary_write_path: { path: "`sync`, `quorum`" },
  netsy_primary_write_transactions_total: { path: "`sync`, `quorum`" },
  netsy_primary_write_duration_seconds: { path: "`sync`, `quorum`" },
  netsy_elector_primary_election_failures_total: { reason: "`contact_failure`" },
  netsy_elector_primary_election_contacts_total: { result: "`success`, `failure`" },
  etcd_server_healthcheck: { type: "`livez`, `readyz`", name: "the check" },
  etcd_server_healthchecks_total: { type: "`livez`, `readyz`", name: "the check", status: "`success`, `error`" },
  etcd_server_client_requests_total: { type: "`unary`, `stream`" },
  etcd_network_peer_round_trip_time_seconds: { To: "the node" }
}

export const worthAnAlert: Readonly<Record<string, string>> = {
  netsy_state_health: "`degraded` or `loading` for minutes: the node says why on `/readyz`",
  netsy_state_primary: "no node `active`: nobody can write",
  netsy_committed_revision: "far apart between nodes: one does not follow",
  netsy_retries_total: "grows all the time: the bucket or the network is bad",
  netsy_client_request_duration_seconds: "99th percentile of `txn` above what clients bear",
  netsy_watch_min_revision: "far behind the committed revision: a slow watch keeps history",
  netsy_object_storage_writes_total: "`error` grows: the bucket refuses or does not answer",
  netsy_object_storage_write_duration_seconds: "99th percentile of chunks above a second",
  netsy_local_db_rebuilds_total: "grows: a disk is dying",
  netsy_primary_write_path: "`sync` in a cluster of three or more: too few nodes are left for a quorum",
  netsy_primary_voters: "fewer than nodes were set up",
  netsy_primary_chunk_buffer_bytes: "near `replication.chunk_buffer.limit_mb`: writes are about to stop",
  netsy_primary_write_duration_seconds: "99th percentile above what clients bear",
  netsy_primary_snapshot_creations_total: "`error` grows: chunks pile up and starts get slow",
  netsy_replica_lag_seconds: "above 10 for minutes: the replica does not follow",
  netsy_elector_degraded_nodes: "above 0 for minutes: a node is gone",
  netsy_elector_primary_elections_total: "more than a few an hour",
  netsy_elector_auto_deregistrations_total: "grows: a node was taken out; bring it back or another one up",
  netsy_elector_recoveries_with_possible_loss_total:
    "grows: acknowledged writes may be lost, see [cluster.md](cluster.md)",
  etcd_server_has_leader: "0 for half a minute: nobody can write through this node",
  etcd_server_leader_changes_seen_total: "more than a few an hour",
  etcd_server_proposals_failed_total: "grows: writes whose outcome clients were not told",
  etcd_server_quota_backend_bytes: "`etcd_mvcc_db_total_size_in_use_in_bytes` near it: compact, or raise it",
  etcd_disk_wal_fsync_duration_seconds: "99th percentile above 0.1: the local disk is too slow",
  grpc_server_handled_total: "share of `Unavailable`, `DeadlineExceeded`, `Internal`",
  process_open_fds: "near `process_max_fds`",
  process_resident_memory_bytes: "near the memory of the machine: all keys are held in memory",
  nodejs_eventloop_lag_p99_seconds: "above 0.5: too little processor time"
}
