/** What each event of the log means, and what to do about it. test/docs fails when one is missing. */

export interface EventNote {
  readonly means: string
  readonly act?: string
  /** Fields that are not written at the call itself. */
  readonly more?: ReadonlyArray<string>
}

export const eventNotes: Readonly<Record<string, EventNote>> = {
  accept_failed: {
    means: "a connection to the health port could not be taken",
    act: "look at open files (`process_open_fds`) and at the reason"
  },
  alarm_activated: {
    means: "an alarm is raised: `NOSPACE` or `CORRUPT`",
    act: "`etcdctl alarm list`; see `quota_exceeded`"
  },
  alarm_deactivated: { means: "it is disarmed" },
  append_refused: {
    means: "another node does not take entries of this term: a newer one has begun",
    act: "nothing: this node ceases to be the Primary"
  },
  arbiter_read_failed: {
    means: "`leader/primary.json` could not be read; tried again",
    act: "look at the bucket if it lasts"
  },
  arbiter_unreadable: {
    means: "`leader/primary.json` is not what Netsy writes",
    act: "look who else writes to the bucket; put back a former version of the object"
  },
  arbiter_write_failed: {
    means: "the lease in `leader/primary.json` could not be renewed; tried again until it runs out",
    act: "look at the bucket if it lasts"
  },
  auth_login_failed: { means: "a wrong password", act: "many of them: somebody tries passwords" },
  auth_switched: { means: "authentication was turned on or off" },
  auth_token_not_signed: { means: "a token could not be made", act: "look at the key files of `auth.token`" },
  auto_compaction_completed: { means: "history was compacted by itself" },
  auto_compaction_failed: { means: "it could not be; tried again", act: "nothing, unless it lasts" },
  bootstrap_promoted: { means: "an empty bucket was seeded, see [data-files.md](data-files.md)" },
  bucket_tip_skipped: {
    means:
      "a write that landed in the bucket without its predecessor is passed over, see [data-files.md](data-files.md)",
    act: "nothing"
  },
  bucket_unavailable: {
    means: "the bucket does not answer",
    act: "look at the bucket, the network and the credentials"
  },
  certificate_expires_soon: {
    means: "less than seven days are left",
    act: "renew it; the node reads new files by itself"
  },
  certificates_kept: { means: "the new files are not good, the old ones stay in use", act: "mend the files" },
  certificates_reloaded: { means: "new files are in use for new connections" },
  "chunk cleanup completed": { means: "what lies behind a snapshot was deleted in the bucket" },
  chunk_buffer_overfull: {
    means:
      "what is acknowledged and not in the bucket has reached its limit, or has fallen below it again; writes stop meanwhile",
    act: "look at the bucket"
  },
  chunk_cleanup_failed: {
    means: "something behind a snapshot could not be deleted; tried again after the next one",
    act: "look at the permissions if it lasts",
    more: ["key"]
  },
  chunk_key_taken: { means: "a chunk of a dead term has the key; another one is taken", act: "nothing" },
  chunk_read_back_failed: {
    means: "after a write without an answer the chunk could not be read; it is written again",
    act: "look at the bucket if it lasts"
  },
  cluster_state_push_failed: { means: "who is who could not be told to a node" },
  cluster_state_refused: { means: "pushed by somebody who is not the Elector that it names", act: "look who that is" },
  cluster_state_updated: { means: "who is who has changed" },
  compaction_completed: { means: "revisions that nobody may ask for any more are gone from this node" },
  compaction_started: { means: "a compaction is committed; this node removes what it covers" },
  conditional_write_retried: {
    means: "somebody else wrote the same object; done again",
    act: "nothing, unless it lasts"
  },
  configuration: { means: "a setting that does nothing, or a likely slip", act: "mend the setting" },
  connection_error: { means: "a connection ended without a good-bye" },
  connection_refused: {
    means:
      "no or a wrong certificate, plain text where TLS is spoken, too many connections; the caller sees only a closed connection",
    act: "mend the caller's certificate; handshakes given up are at debug level"
  },
  database_set_aside: {
    means:
      "the local database has committed what the cluster has not; it was renamed and the node ends, to begin with an empty one",
    act: "keep the file; see [cluster.md](cluster.md)"
  },
  degradation_check: { means: "who the Elector has not heard of" },
  drain_completed: {
    means: "the Primary has handed over what it had and stops",
    act: "`error`: not everything was in the bucket in time; the others have it"
  },
  drain_started: { means: "the Primary takes no more requests, because the node stops" },
  election_completed: { means: "there is a new Primary" },
  election_failed: {
    means: "no Primary could be elected; tried again",
    act: "look which nodes answer: `netsy status`"
  },
  election_stage_completed: { means: "a stage of an election did not come to an end", act: "nothing, unless it lasts" },
  election_started: { means: "a Primary is elected; the reason says why" },
  elector_found: { means: "the Elector answers again" },
  elector_lock_failed: {
    means: "the lock of the Elector could not be read or written; tried again",
    act: "look at the bucket if it lasts"
  },
  elector_lock_shared: {
    means: "two nodes seem to hold the Elector's lock: the bucket does not keep the conditions of writes",
    act: "use a store that does, see [storage.md](storage.md)"
  },
  elector_lock_taken_early: {
    means: "the Elector's process was seen to be gone, so its lock was taken before its time",
    act: "nothing"
  },
  elector_lock_unreadable: {
    means: "`leader/elector.json` is not what Netsy writes; it is replaced",
    act: "look who else writes to the bucket"
  },
  elector_lost: {
    means: "the Elector does not answer; it is looked for. No effect on reads and writes",
    act: "nothing, unless it lasts"
  },
  elector_question_failed: { means: "a node did not answer the Elector" },
  elector_ready: { means: "this node is the Elector" },
  elector_resign_failed: {
    means: "the lock could not be given back at the stop; it runs out by itself",
    act: "nothing"
  },
  etcd_export: { means: "`etcdctl snapshot save` was served" },
  fence_refused: { means: "a node has promised itself to a newer term; the election starts over", act: "nothing" },
  fenced: { means: "this node takes nothing of older terms any more" },
  follow_broken: { means: "the stream from the Primary broke; made again", act: "look at the network if it lasts" },
  follow_mismatch: { means: "this node's log differs from the Primary's; they look where" },
  follower_joined: { means: "a replica follows" },
  follower_left: { means: "a replica does not follow any more" },
  follower_lost_entries: {
    means: "a replica's log ends below what it had said was on its disk; it goes on as a new incarnation",
    act: "look at that node's disk; do not put back disk images"
  },
  following: { means: "this node follows a Primary" },
  hand_over_announced: { means: "the next Primary was named" },
  hand_over_not_told: { means: "the Elector could not be told whom to elect", act: "nothing: it elects" },
  health_request_failed: { means: "an answer of a health port failed; a defect", act: "report it" },
  heartbeat_refused: {
    means: "a heartbeat of a process that is not the registered one",
    act: "two processes with one node id? stop one of them"
  },
  heartbeat: { means: "what the node told the Elector" },
  history_warm_up_completed: { means: "a replica has looked at the bucket beforehand" },
  history_warm_up_failed: { means: "it could not; it will look when it has to" },
  lease_renewed: { means: "the Primary has renewed its lease in the bucket" },
  leave_not_told: { means: "the Elector could not be told that this node stops" },
  listening: { means: "a port is open" },
  loading_stage_completed: { means: "a stage of the start is over" },
  loading_stage_started: { means: "a stage of the start begins" },
  local_db_initialized: { means: "the local database is open" },
  local_db_rebuild_completed: { means: "the local database has the bucket's history" },
  local_db_rebuild_started: { means: "the local database is made anew from the bucket" },
  local_db_set_aside: {
    means: "the local database was damaged; it was renamed and is made anew",
    act: "look at the disk"
  },
  local_db_shrunk: { means: "space was given back to the file system, see [compaction.md](compaction.md)" },
  log_truncated: { means: "entries that never were committed were taken off this node's log" },
  mode_change_completed: { means: "a write waits for something else now" },
  mode_change_started: { means: "the Primary changes what a write waits for: the bucket or replicas" },
  netsy_1x_rows_imported: {
    means: "rows of a local database of Netsy 1.x that were not in the bucket were taken over"
  },
  netsy_ready: { means: "clients are let in" },
  no_successor: {
    means: "no other node took over while this one was stopping",
    act: "look at the others: `netsy status`"
  },
  node_address_changed: { means: "the node is reached elsewhere than before", act: "nothing, if it was moved" },
  node_degraded: { means: "a node does not answer the Elector", act: "look at that node" },
  node_deregistered: {
    means: "a node left, or was taken out because it was gone for too long (a warning then)",
    act: "bring it back, or another one up"
  },
  node_recovered: { means: "it answers again" },
  node_registered: {
    means: "the node is known to the cluster",
    act: "a warning: it had been taken out and is in again"
  },
  object_storage_write_failed: { means: "a chunk could not be written; tried again", act: "look at the bucket" },
  older_disk_found: {
    means: "the local disk was put back to an older state; the node counts as a new one",
    act: "do not put back disk images, see [cluster.md](cluster.md)",
    more: ["starts"]
  },
  peer_connected: { means: "a connection to another node is open", more: ["component", "node", "address"] },
  peer_unreachable: {
    means: "a connection to or from a node could not be made or has broken; said once until it works again",
    act: "look at that node, the network, the certificates",
    more: ["address"]
  },
  primary_preflight_stage_completed: { means: "a stage of becoming Primary is over" },
  primary_preflight_stage_started: { means: "a new Primary makes its log and the bucket's one" },
  primary_refused: {
    means: "a replica has promised itself to a newer term",
    act: "nothing: this node ceases to be the Primary"
  },
  primary_resigned: { means: "this node is not the Primary any more; `known` false: the bucket could not be told" },
  quota_exceeded: {
    means: "the NOSPACE alarm is raised; only deletes go through",
    act: "compact, then `etcdctl alarm disarm`; or raise `limits.quota_bytes`"
  },
  "ready to serve client requests": { means: "the same as `netsy_ready`, as etcd says it; then one line an address" },
  recovered_with_possible_loss: {
    means: "a Primary was elected without enough voters: what is named may be lost",
    act: "see [cluster.md](cluster.md)"
  },
  registration_failed: {
    means: "a node that had been taken out could not register again; tried again",
    act: "look at the bucket if it lasts"
  },
  registration_skipped: { means: "an object below `nodes/` is no registration", act: "delete it if it is nobody's" },
  reign_ended: { means: "this node is not the Primary any more", act: "nothing: another one was elected, or will be" },
  reign_started: { means: "this node was elected and holds the lease" },
  replica_caught_up: { means: "this node has what the Primary had when it was first asked" },
  requests_timed_out: {
    means: "writes whose outcome clients were not told in time; they may have happened",
    act: "look at what the Primary waits for: `netsy status`"
  },
  service_manager_not_told: { means: "systemd could not be told", act: "look at the unit's `Type` and `NotifyAccess`" },
  service_manager_told_by_program: {
    means: "systemd was told by `systemd-notify`, which it believes only with `NotifyAccess=all`",
    act: "set that in the unit"
  },
  snapshot_abandoned: { means: "this node ceased to be the Primary while it took a snapshot" },
  snapshot_completed: { means: "a snapshot is in the bucket" },
  snapshot_exists: { means: "it was there already" },
  snapshot_failed: {
    means: "no snapshot could be taken; tried again",
    act: "look at the bucket if it lasts: chunks pile up"
  },
  state_transition_refused: { means: "a change of state that cannot be; a defect", act: "report it" },
  state_transition: { means: "health, Elector's or Primary's state has changed" },
  stopping: {
    means: "a part of the node cannot go on, and the process ends with it",
    act: "read the reason; a service manager starts it again"
  },
  stream_message: { means: "a message of a stream" },
  trouble_ended: { means: "that is over" },
  trouble: {
    means: "the node is degraded: said once for each reason, not again when only its numbers change",
    act: "read the reason"
  },
  waiting: { means: "what the start or the role waits for; `seconds` is absent when nobody knows" }
}

/** They write lines that etcd writes: warnings about its flags, and one line for each address. */
export const unnamed: ReadonlyArray<string> = ["programs/etcdNode.ts"]
