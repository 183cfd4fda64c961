/**
 * Where Netsy differs from etcd 3.4 on purpose, because it follows 3.7: each entry explains one kind of difference, as
 * narrowly as it can, by saying what the newer etcd would have answered. docs/etcd-compatibility.md lists them in words;
 * an entry that no run uses fails the test.
 */
import type { Given } from "./compare.ts"
import type { Plain } from "./messages.ts"
import type { Answer, WatchLog } from "./operations.ts"
import { inRanges } from "./ranges.ts"
import { eventRevision } from "./WatchStream.ts"

export interface Intended {
  /** Rule of the reference, and what differs. */
  readonly id: string
  readonly since: string
  readonly says: string
  /** What a newer etcd answers; undefined when the entry has nothing to say about it. */
  readonly answer?: (given: Given, etcd: Answer, ours: Answer) => Answer | undefined
  readonly watch?: (given: Given, etcd: WatchLog) => WatchLog | undefined
  /** The revisions of the progress responses. */
  readonly progress?: (given: Given, etcd: ReadonlyArray<number>) => ReadonlyArray<number>
}

const withoutLease = (kv: Plain): Plain => {
  const { lease: _gone, ...rest } = kv
  return rest
}

const call = ({ operation }: Given, method: string): boolean => operation.kind === "call" && operation.method === method

const succeeded = (answer: Answer, change: (body: Plain) => Plain): Answer | undefined =>
  answer.code === 0 && answer.body !== undefined ? { ...answer, body: change(answer.body) } : undefined

const header = (given: Given): Plain => ({
  cluster_id: "cluster_id",
  member_id: "member",
  revision: given.context.head,
  raft_term: "raft_term"
})

/** Whether a watch with this request sees the event. */
const sees = (request: Plain, event: Plain): boolean => {
  const key = String((event["kv"] as Plain)["key"])
  const [begin, end] = [String(request["key"] ?? ""), String(request["range_end"] ?? "")]
  const filters = (request["filters"] ?? []) as ReadonlyArray<string>
  if (filters.includes(event["type"] === "DELETE" ? "NODELETE" : "NOPUT")) return false
  return end === "" ? key === (begin === "" ? "\0" : begin) : key >= begin && (end === "\0" || key < end)
}

const putErrors = new Set(["etcdserver: key not found", "etcdserver: requested lease not found"])
const rangeErrors = new Set([
  "etcdserver: mvcc: required revision has been compacted",
  "etcdserver: mvcc: required revision is a future revision"
])

const refusal = (code: number, details: string): Answer => ({ code, details, body: undefined })

/** As 3.4 lets them out of Maintenance, and as they should be. */
const refusals: ReadonlyMap<string, Answer> = new Map([
  ["auth: permission denied", refusal(7, "etcdserver: permission denied")],
  ["auth: invalid auth token", refusal(16, "etcdserver: invalid auth token")],
  ["auth: user name is empty", refusal(3, "etcdserver: user name is empty")]
])

const isKeepAlive = (given: Given): boolean => given.operation.kind === "keepAlive"

/** Methods that ask for a user, or for root, since 3.5. */
const guarded = (given: Given, by: "users" | "root"): boolean => {
  if (!given.context.auth) return false
  const changes = call(given, "Maintenance.Alarm") && (given.request["action"] ?? "GET") !== "GET"
  if (by === "root") return changes || call(given, "KV.Compact")
  return (
    (call(given, "Maintenance.Alarm") && !changes) ||
    ["Cluster.MemberList", "Maintenance.Status", "Lease.LeaseGrant"].some((method) => call(given, method))
  )
}

const nests = (request: Plain): boolean =>
  ["success", "failure"].some((name) =>
    ((request[name] ?? []) as ReadonlyArray<Plain>).some((op) => op["request_txn"] !== undefined)
  )

const asksPrevious = (request: Plain): boolean =>
  ["success", "failure"].some((name) =>
    ((request[name] ?? []) as ReadonlyArray<Plain>).some(
      (op) => (op["request_put"] as Plain | undefined)?.["prev_kv"] === true
    )
  )

/** A token that was given once may be void by now; for `others`, the user may lack the right. */
const refusalOf = (given: Given, etcd: Answer, ours: Answer, others: ReadonlyArray<Answer>): Answer | undefined => {
  const { token } = given.context
  const whole = (answer: Answer | undefined): Answer | undefined =>
    answer !== undefined && isKeepAlive(given) ? { ...answer, body: { responses: [] } } : answer
  if (token === "none") return whole(refusals.get("auth: user name is empty"))
  if (token === "made up") return whole(refusals.get("auth: invalid auth token"))
  const possible = [...others, refusals.get("auth: invalid auth token")!]
  return etcd.code !== 7 && etcd.code !== 16
    ? whole(possible.find(({ details }) => details === ours.details))
    : undefined
}

export const intended: ReadonlyArray<Intended> = [
  {
    id: "R8 keys_only",
    since: "3.7",
    says: "a range with keys_only leaves out the lease, unless it is sorted by value",
    answer: ({ operation, request }, etcd) =>
      inRanges(operation, request, etcd, (range, response) =>
        range["keys_only"] !== true || range["sort_target"] === "VALUE" || response["kvs"] === undefined
          ? response
          : { ...response, kvs: (response["kvs"] as ReadonlyArray<Plain>).map(withoutLease) }
      )
  },
  {
    id: "H4 Alarm",
    since: "3.5",
    says: "the answer of Alarm has a header",
    answer: (given, etcd) =>
      call(given, "Maintenance.Alarm") ? succeeded(etcd, (body) => ({ header: header(given), ...body })) : undefined
  },
  {
    id: "2.8 HashKV",
    since: "3.6",
    says: "the answer of HashKV says at which revision the hash was made",
    answer: (given, etcd) =>
      call(given, "Maintenance.HashKV")
        ? succeeded(etcd, (body) => ({
            ...body,
            hash_revision: Number(given.request["revision"] ?? 0) || given.context.head
          }))
        : undefined
  },
  {
    id: "W3 negative start",
    since: "3.5",
    says: "a watch with a negative start_revision is refused",
    watch: ({ request }, { created }) => {
      if (created === undefined || Number(request["start_revision"] ?? 0) >= 0) return undefined
      const refusal = {
        header: created["header"],
        watch_id: -1,
        created: true,
        canceled: true,
        cancel_reason: "etcdserver: mvcc: required revision has been compacted"
      }
      return { operation: 0, request, created: refusal, ended: refusal, events: [] }
    }
  },
  {
    id: "C2 delete at the compaction",
    since: "3.4.34",
    says: "a watch that begins at the compacted revision is told of the deletes at that revision",
    watch: ({ context, request }, etcd) => {
      if (context.compacted.length === 0 || etcd.created?.["canceled"] === true) return undefined
      const first = context.compacted.filter((event) => sees(request, event))
      const later = etcd.events.filter((event) => eventRevision(event) > context.compact)
      return { ...etcd, events: [...first, ...later] }
    }
  },
  {
    id: "W15 progress",
    since: "3.4.25",
    says: "a progress request is answered only when the stream has watches and none of them begins in the future",
    progress: ({ context }, etcd) =>
      context.watches.length === 0 ||
      context.watches.some((watch) => Number(watch["start_revision"] ?? 0) > context.head)
        ? []
        : etcd
  },
  {
    id: "T6 order of checks",
    since: "3.6",
    says: "the operations of a transaction are checked in their order; before, all puts were checked before all ranges",
    answer: (given, etcd, ours) =>
      call(given, "KV.Txn") && putErrors.has(etcd.details) && rangeErrors.has(ours.details) && ours.code === 11
        ? ours
        : undefined
  },
  {
    id: "2.9 malformed",
    since: "Netsy 0.1",
    says: "bytes that are no message are refused as InvalidArgument with the place; gRPC for Go says Internal",
    answer: ({ operation }, etcd, ours) =>
      operation.kind === "raw" &&
      etcd.code === 13 &&
      etcd.details.startsWith("grpc: error unmarshalling request") &&
      /^netsy: malformed \w+ at byte \d+: /.test(ours.details)
        ? refusal(3, ours.details)
        : undefined
  },
  {
    id: "2.11 unknown method",
    since: "Netsy 0.1",
    says: "a method that does not exist is Unimplemented as with gRPC for Go, with the words of gRPC for Node",
    answer: ({ operation }, etcd) =>
      operation.kind === "raw" && etcd.code === 12
        ? refusal(12, `The server does not implement the method ${operation.path}`)
        : undefined
  },
  {
    id: "2.10 errors of Maintenance",
    since: "3.5",
    says: "the methods of Maintenance refuse with the same code and text as all others",
    answer: ({ operation }, etcd) =>
      operation.kind === "call" && operation.method.startsWith("Maintenance.") && etcd.code === 2
        ? refusals.get(etcd.details)
        : undefined
  },
  {
    id: "2.10 logged in",
    since: "3.5",
    says: "MemberList, Status, LeaseGrant and reading alarms need a user; with Netsy also a transaction that does nothing",
    answer: (given, etcd, ours) => {
      const nothingAsked = call(given, "KV.Txn") && etcd.code === 0 && given.context.auth
      if (nothingAsked && given.context.token === "none") return refusals.get("auth: user name is empty")
      return guarded(given, "users") ? refusalOf(given, etcd, ours, []) : undefined
    }
  },
  {
    id: "L10",
    since: "3.5.33",
    says: "the methods of leases need a user, who may write (revoke, keep alive) or read (time to live, list) every key of the lease",
    answer: (given, etcd, ours) => {
      if (!given.context.auth) return undefined
      if (call(given, "Lease.LeaseRevoke"))
        return given.context.token === "none" ? refusals.get("auth: user name is empty") : undefined
      const reads = call(given, "Lease.LeaseTimeToLive") || call(given, "Lease.LeaseLeases")
      const rights = [refusals.get("auth: permission denied")!, refusal(3, "etcdserver: revision of auth store is old")]
      return reads || isKeepAlive(given) ? refusalOf(given, etcd, ours, rights) : undefined
    }
  },
  {
    id: "2.10 root only",
    since: "3.5",
    says: "raising and clearing alarms needs root, and in the newest versions of all lines Compact too",
    answer: (given, etcd, ours) =>
      guarded(given, "root") ? refusalOf(given, etcd, ours, [refusals.get("auth: permission denied")!]) : undefined
  },
  {
    id: "2.10 nested transactions",
    since: "3.5",
    says: "what a nested transaction does must be allowed too",
    answer: (given, etcd, ours) =>
      given.context.auth && call(given, "KV.Txn") && etcd.code === 0 && ours.code === 7 && nests(given.request)
        ? refusals.get("auth: permission denied")
        : undefined
  },
  {
    id: "2.10 previous values",
    since: "Netsy 0.1",
    says: "a put in a transaction that asks for the previous value needs the right to read it, as a plain put does",
    answer: (given, etcd, ours) =>
      given.context.auth && call(given, "KV.Txn") && etcd.code === 0 && ours.code === 7 && asksPrevious(given.request)
        ? refusals.get("auth: permission denied")
        : undefined
  },
  {
    id: "2.10 endless watch",
    since: "Netsy 0.1",
    says: "a watch without an upper end needs the right on all of it; etcd 3.4 asks for that on its first key",
    watch: ({ context, request }, { created }) => {
      if (!context.auth || request["range_end"] !== "\0" || created === undefined) return undefined
      const refused = {
        header: created["header"],
        watch_id: -1,
        created: true,
        canceled: true,
        cancel_reason: "rpc error: code = PermissionDenied desc = etcdserver: permission denied"
      }
      return { operation: 0, request, created: refused, ended: refused, events: [] }
    }
  },
  {
    id: "2.10 role root",
    since: "3.5",
    says: "the role root is shown as the right to everything",
    answer: (given, etcd) =>
      call(given, "Auth.RoleGet") && given.request["role"] === "root"
        ? succeeded(etcd, (body) => ({ ...body, perm: [{ permType: "READWRITE", range_end: "\0" }] }))
        : undefined
  },
  {
    id: "2.10 range of a permission",
    since: "3.5",
    says: "a permission on a range that ends before it begins is refused",
    answer: (given, etcd) => {
      const perm = given.request["perm"] as Plain | undefined
      if (!call(given, "Auth.RoleGrantPermission") || perm === undefined || given.context.auth) return undefined
      const [begin, end] = [String(perm["key"] ?? ""), String(perm["range_end"] ?? "")]
      if (end === "" || end === "\0" || begin < end || etcd.code === 0) return undefined
      return refusal(3, "etcdserver: invalid auth management")
    }
  }
]
