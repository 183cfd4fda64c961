/** Directed steps before the random ones: what chance meets too seldom, and every intended difference once. */
import type { Options } from "./generate.ts"
import { type Plain, Revision } from "./messages.ts"
import type { Operation } from "./operations.ts"

const call = (method: string, request: Plain, as?: string): Operation => ({
  kind: "call",
  method,
  request,
  ...(as === undefined ? {} : { as })
})
const put = (key: string, value: string, more: Plain = {}): Operation => call("KV.Put", { key, value, ...more })
const watch = (stream: number, create: Plain): Operation => ({ kind: "watch", stream, create })
const cancelWatch = (stream: number, id: number): Operation => ({ kind: "cancelWatch", stream, id })
const progress = (stream: number): Operation => ({ kind: "progress", stream })
const all = { key: "\0", range_end: "\0" }
const head = (plus: number): Revision => new Revision("head", plus)

/** Streams that the random steps do not use. */
const own = 10

/** Of one watch, from the first revision on, on everything. */
export const everythingStream = 20

const keyValue: ReadonlyArray<Operation> = [
  call("KV.Compact", { revision: -1 }),
  call("KV.Compact", { revision: 5 }),
  put("p1", "1"),
  put("p1", "2", { prev_kv: true }),
  call("KV.Txn", {
    success: [
      { request_put: { key: "p2", value: "in one" } },
      { request_delete_range: { key: "p1" } },
      { request_range: all },
      {
        request_txn: { compare: [{ key: "p2", target: "VERSION", result: "EQUAL" }], success: [{ request_range: all }] }
      }
    ]
  }),
  call("KV.Txn", { success: [{}] }),
  call("KV.Txn", {
    success: [{ request_range: { ...all, revision: 1_000_000 } }, { request_put: { key: "p3", ignore_value: true } }]
  }),
  call("KV.Txn", { failure: [{ request_txn: { success: [{ request_put: { key: "" } }] } }] }),
  put("p3", "v", { ignore_value: true }),
  put("p3", "", { ignore_lease: true, lease: 5 }),
  put("large", "x".repeat(1_572_864)),
  call("KV.Txn", { success: [{ request_put: { key: "large", value: "x".repeat(1_572_864) } }] })
]

const watches: ReadonlyArray<Operation> = [
  progress(own),
  watch(own, { ...all, start_revision: -1 }),
  watch(own, { key: "b", range_end: "a", start_revision: -7 }),
  { kind: "open", stream: own },
  watch(own, { key: "w" }),
  progress(own),
  watch(own, { key: "w", start_revision: head(3), prev_kv: true }),
  progress(own),
  put("w", "1"),
  put("w", "2"),
  put("w", "3"),
  put("w", "4"),
  progress(own),
  cancelWatch(own, 1),
  cancelWatch(own, 1),
  cancelWatch(own, 77),
  // A delete at the very revision of a compaction.
  call("KV.DeleteRange", { key: "w" }),
  call("KV.Compact", { revision: head(0), physical: true }),
  put("after", "1"),
  watch(own, { key: "w", start_revision: new Revision("compact", 0), prev_kv: true }),
  watch(own, { ...all, start_revision: new Revision("compact", -1), watch_id: 40 }),
  watch(own, { ...all, watch_id: 40 }),
  cancelWatch(own, 40),
  watch(own, { ...all, watch_id: 40 }),
  // More than a request may hold, so that it comes in pieces.
  put("big1", "x".repeat(700_000)),
  put("big2", "y".repeat(700_000)),
  watch(own + 1, { key: "big", range_end: "bih", fragment: true, prev_kv: true }),
  watch(own + 1, { key: "big", range_end: "bih", prev_kv: true, start_revision: head(-1) }),
  watch(own + 1, { key: "big", range_end: "bih", prev_kv: true, fragment: true, start_revision: head(-1) }),
  call("KV.Txn", {
    success: [
      { request_put: { key: "big1", value: "1".repeat(700_000) } },
      { request_put: { key: "big2", value: "2".repeat(700_000) } }
    ]
  }),
  call("KV.DeleteRange", { key: "big", range_end: "bih", prev_kv: true }),
  put("p9", "after the pieces"),
  progress(own + 1),
  { kind: "endStream", stream: own + 1 },
  put("big3", "to a client that says nothing more"),
  { kind: "open", stream: own + 1 }
]

const maintenance: ReadonlyArray<Operation> = [
  call("Maintenance.Alarm", { action: "GET" }),
  call("Maintenance.Alarm", { action: "GET", alarm: "NOSPACE" }),
  call("Maintenance.Status", {}),
  call("Cluster.MemberList", {}),
  call("Maintenance.HashKV", {}),
  call("Maintenance.HashKV", { revision: head(-2) }),
  call("Maintenance.HashKV", { revision: 1 }),
  call("Maintenance.HashKV", { revision: head(5) }),
  call("Maintenance.Defragment", {})
]

const leases: ReadonlyArray<Operation> = [
  call("Lease.LeaseGrant", { ID: 71, TTL: 5000 }),
  call("Lease.LeaseGrant", { ID: 71, TTL: 5000 }),
  put("l1", "1", { lease: 71 }),
  put("l2", "1", { lease: 71 }),
  call("KV.Range", { ...all, keys_only: true }),
  call("KV.Range", { ...all, keys_only: true, sort_target: "VALUE" }),
  call("Lease.LeaseTimeToLive", { ID: 71, keys: true }),
  watch(own, { key: "l", range_end: "m", prev_kv: true }),
  call("Lease.LeaseRevoke", { ID: 71 }),
  call("Lease.LeaseRevoke", { ID: 71 })
]

const raw = (path: string, body: string): Operation => ({ kind: "raw", path, body })

const malformed: ReadonlyArray<Operation> = [
  raw("/etcdserverpb.KV/Range", "\u00ff\u00ff\u00ff"),
  raw("/etcdserverpb.KV/Put", "\n\u0005ab"),
  raw("/etcdserverpb.KV/Range", "\u0008\u0001"),
  // The last of two keys counts, and a field that nobody knows is passed over.
  raw("/etcdserverpb.KV/Range", "\n\u0001a\n\u0001b\u009a\u0006\u0003abc"),
  raw("/etcdserverpb.KV/Nothing", ""),
  raw("/nothing.KV/Range", "")
]

export const prologue = (options: Options): ReadonlyArray<Operation> => [
  watch(everythingStream, all),
  ...keyValue,
  ...watches,
  ...maintenance,
  ...malformed,
  ...(options.leases ? leases : []),
  call("Auth.RoleGrantPermission", { name: "nobody", perm: { permType: "READ", key: "b", range_end: "a" } }),
  call("Auth.RoleGrantPermission", { name: "nobody", perm: { permType: "READ", key: "a", range_end: "b" } }),
  call("Auth.AuthDisable", {}),
  call("Auth.Authenticate", { name: "nobody", password: "x" }),
  call("Auth.UserGet", { name: "nobody" }),
  call("Auth.UserDelete", { name: "nobody" }),
  call("Auth.UserAdd", { name: "" }),
  call("Auth.RoleAdd", { name: "" }),
  call("Auth.UserList", {}),
  call("Auth.RoleList", {})
]
