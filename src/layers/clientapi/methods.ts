/** Every rpc of the etcd API and of gRPC health with its kind (etcd-api.md 1.1). */
import type { MethodKind } from "../../services/ClientApi.ts"

/** Service → rpc names; `<` marks a server stream, `*` a stream in both directions. */
const services: Readonly<Record<string, string>> = {
  "etcdserverpb.KV": "Range <RangeStream Put DeleteRange Txn Compact",
  "etcdserverpb.Watch": "*Watch",
  "etcdserverpb.Lease": "LeaseGrant LeaseRevoke *LeaseKeepAlive LeaseTimeToLive LeaseLeases",
  "etcdserverpb.Cluster": "MemberAdd MemberRemove MemberUpdate MemberList MemberPromote",
  "etcdserverpb.Maintenance": "Alarm Status Defragment Hash HashKV <Snapshot MoveLeader Downgrade",
  "etcdserverpb.Auth":
    "AuthEnable AuthDisable AuthStatus Authenticate UserAdd UserGet UserList UserDelete UserChangePassword " +
    "UserGrantRole UserRevokeRole RoleAdd RoleGet RoleList RoleDelete RoleGrantPermission RoleRevokePermission",
  "v3lockpb.Lock": "Lock Unlock",
  "v3electionpb.Election": "Campaign Proclaim Leader <Observe Resign",
  "grpc.health.v1.Health": "Check <Watch"
}

const kindOf = (rpc: string): MethodKind => (rpc[0] === "*" ? "bidi" : rpc[0] === "<" ? "serverStream" : "unary")

export const methods: ReadonlyMap<string, MethodKind> = new Map(
  Object.entries(services).flatMap(([service, rpcs]) =>
    rpcs.split(" ").map((rpc): [string, MethodKind] => [`/${service}/${rpc.replace(/^[*<]/, "")}`, kindOf(rpc)])
  )
)
