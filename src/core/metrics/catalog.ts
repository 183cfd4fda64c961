/**
 * The metrics of netsy-1x.md 14.2 that every node shows, whatever its role, by name. Whoever updates one registers it
 * again with the same options and gets the same metric. Those of a role are registered by the layer that has the role.
 */
import { counter, gauge, histogram, secondsBuckets } from "./entry.ts"

/** 1 KiB … 100 MiB. */
const bytesBuckets: ReadonlyArray<number> = [1_024, 10_240, 102_400, 1_048_576, 10_485_760, 104_857_600]

export const catalog = {
  info: gauge(
    "netsy_info",
    "Version and identity of this node, always 1.",
    "version",
    "cluster_id",
    "node_id",
    "quorum_config"
  ),
  stateHealth: gauge("netsy_state_health", "1 for the current health state.", "state"),
  stateElector: gauge("netsy_state_elector", "1 for the current Elector state.", "state"),
  statePrimary: gauge("netsy_state_primary", "1 for the current Primary state.", "state"),
  processStartTime: gauge("netsy_process_start_time_seconds", "Start of the process, seconds since 1970."),
  latestRevision: gauge("netsy_latest_revision", "Newest revision that this node has assigned or received."),
  committedRevision: gauge("netsy_committed_revision", "Newest revision that clients may see."),
  compactionRevision: gauge("netsy_compaction_revision", "Revision up to which history is compacted."),
  retries: counter("netsy_retries_total", "Operations that were tried again.", "operation"),
  compactionDuration: histogram(
    "netsy_compaction_duration_seconds",
    "Time of a compaction on this node.",
    secondsBuckets,
    "result"
  ),
  clientRequests: counter("netsy_client_requests_total", "Requests of clients.", "kind", "result"),
  clientRequestDuration: histogram(
    "netsy_client_request_duration_seconds",
    "Time until a client was answered.",
    secondsBuckets,
    "kind"
  ),
  watchers: gauge("netsy_watchers", "Open watch streams."),
  watches: gauge("netsy_watches", "Open watches on all streams."),
  watchMinRevision: gauge("netsy_watch_min_revision", "Lowest revision that an open watch still needs."),
  objectStorageWrites: counter("netsy_object_storage_writes_total", "Objects written.", "kind", "mode", "result"),
  objectStorageWriteDuration: histogram(
    "netsy_object_storage_write_duration_seconds",
    "Time of one write to object storage.",
    secondsBuckets,
    "kind",
    "mode",
    "result"
  ),
  objectStorageWriteBytes: histogram(
    "netsy_object_storage_write_bytes",
    "Size of the objects written.",
    bytesBuckets,
    "kind",
    "mode"
  ),
  objectStorageReads: counter("netsy_object_storage_reads_total", "Objects read.", "result"),
  objectStorageReadDuration: histogram(
    "netsy_object_storage_read_duration_seconds",
    "Time of one read.",
    secondsBuckets,
    "result"
  ),
  loadingStageDuration: histogram(
    "netsy_loading_stage_duration_seconds",
    "Time of a stage of loading.",
    secondsBuckets,
    "stage",
    "result"
  ),
  loadingRestarts: counter(
    "netsy_loading_restarts_total",
    "Always 0: a loading that fails ends the process.",
    "reason"
  ),
  localDbRebuilds: counter("netsy_local_db_rebuilds_total", "Local databases set aside and rebuilt.", "reason"),
  nodeRegistrationDuration: histogram(
    "netsy_node_registration_duration_seconds",
    "Time of the registration.",
    secondsBuckets,
    "result"
  )
} as const

/** Shown as 0 until their owner sets them. */
export const zeroAtStart = [
  catalog.latestRevision,
  catalog.committedRevision,
  catalog.compactionRevision,
  catalog.watchers,
  catalog.watches,
  catalog.watchMinRevision
]
