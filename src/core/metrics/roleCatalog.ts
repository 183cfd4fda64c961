/**
 * The metrics of netsy-1x.md 14.2 that only a node with the role updates. A gauge is absent while the node does not have
 * the role; counters and histograms appear when something is counted.
 */
import { counter, gauge, histogram, secondsBuckets } from "./entry.ts"

export const primaryCatalog = {
  writePath: gauge(
    "netsy_primary_write_path",
    "1 for what a write waits for: sync the bucket, quorum the replicas.",
    "path"
  ),
  requiredReceipts: gauge(
    "netsy_primary_required_receipts",
    "Replicas that must have a write on disk before it is acknowledged; 0: the bucket comes first."
  ),
  voters: gauge("netsy_primary_voters", "Nodes whose disks count, this one among them."),
  bufferRecords: gauge("netsy_primary_chunk_buffer_records", "Log entries that are not known to be in the bucket."),
  bufferBytes: gauge("netsy_primary_chunk_buffer_bytes", "Bytes that are acknowledged and not yet in the bucket."),
  writes: counter(
    "netsy_primary_write_transactions_total",
    "Log entries appended by the Primary and committed.",
    "path",
    "result"
  ),
  writeDuration: histogram(
    "netsy_primary_write_duration_seconds",
    "From closing a batch to its commit.",
    secondsBuckets,
    "path",
    "result"
  ),
  compactions: counter("netsy_primary_compactions_total", "Compactions that the node proposed itself.", "result"),
  compactionCoordination: histogram(
    "netsy_primary_compaction_coordination_duration_seconds",
    "From proposing a compaction to its commit.",
    secondsBuckets,
    "result"
  ),
  snapshotCreations: counter("netsy_primary_snapshot_creations_total", "Snapshots taken.", "result"),
  snapshotCreationDuration: histogram(
    "netsy_primary_snapshot_creation_duration_seconds",
    "Time of taking and storing a snapshot.",
    secondsBuckets,
    "result"
  ),
  snapshotAge: gauge("netsy_primary_snapshot_age_seconds", "Since the newest snapshot that this process has taken."),
  cleanupRuns: counter(
    "netsy_primary_snapshot_cleanup_runs_total",
    "Times that chunks and snapshots behind a snapshot were cleaned up.",
    "result"
  ),
  storedRevision: gauge(
    "netsy_primary_object_storage_revision",
    "Newest revision known to be in the bucket; on every node."
  )
} as const

export const replicaCatalog = {
  lagEntries: gauge("netsy_replica_lag_entries", "Committed log entries that this Replica has not applied."),
  lagSeconds: gauge("netsy_replica_lag_seconds", "How long this Replica has been behind the Primary; 0: it is not.")
} as const

export const electorCatalog = {
  registeredNodes: gauge("netsy_elector_registered_nodes", "Nodes that the Elector knows."),
  healthyNodes: gauge("netsy_elector_healthy_nodes", "Nodes that are not degraded."),
  degradedNodes: gauge("netsy_elector_degraded_nodes", "Nodes that are degraded."),
  elections: counter("netsy_elector_primary_elections_total", "Elections of a Primary.", "result"),
  electionFailures: counter("netsy_elector_primary_election_failures_total", "Elections that failed.", "reason"),
  electionDuration: histogram(
    "netsy_elector_primary_election_duration_seconds",
    "From the reason for an election to its end.",
    secondsBuckets,
    "result"
  ),
  electionContacts: counter(
    "netsy_elector_primary_election_contacts_total",
    "Nodes that were asked for their state.",
    "result"
  ),
  autoDeregistrations: counter(
    "netsy_elector_auto_deregistrations_total",
    "Nodes taken out because they were degraded for too long."
  ),
  recoveriesWithPossibleLoss: counter(
    "netsy_elector_recoveries_with_possible_loss_total",
    "Elections without enough voters, which may have lost acknowledged writes."
  )
} as const
