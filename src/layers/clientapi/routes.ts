/**
 * Where each unary method is run (design 6.6): whatever changes something, and whatever only the Primary knows (the time
 * of leases, users and roles at head), by the Active Primary; the rest by every node, which sees to it that it has applied
 * what the answer must show.
 */
import { errors } from "../../core/wire/errors.ts"
import type { Forwarding, ForwardRules } from "../../services/Forwarding.ts"
import { type Route, routeHere } from "./method.ts"

const rules = (over: Partial<ForwardRules> = {}): ForwardRules => ({
  repeatable: false,
  heldLong: false,
  answersLate: false,
  withoutPrimary: errors.requestTimedOut,
  ...over
})

const write = rules()
const read = rules({ repeatable: true })
/** As etcd, whose members ask the leader for it themselves. */
const leaseRead = rules({ repeatable: true, withoutPrimary: errors.noLeader })

/** `here`: by every node. `unlessReads`: by the Primary, but by every node where the request changes nothing. */
type Place = "here" | ForwardRules | { readonly unlessReads: ForwardRules }

/** The steps of locks and elections are sent one by one: whoever waits in line does not lose its place with the Primary. */
const table: Readonly<Record<string, Readonly<Record<string, Place>>>> = {
  "etcdserverpb.KV": {
    Range: "here",
    Put: write,
    DeleteRange: write,
    Txn: { unlessReads: write },
    // With `physical` it waits until everything is removed.
    Compact: rules({ answersLate: true })
  },
  "etcdserverpb.Lease": {
    LeaseGrant: write,
    LeaseRevoke: write,
    LeaseTimeToLive: leaseRead,
    LeaseLeases: leaseRead
  },
  "etcdserverpb.Cluster": {
    MemberAdd: "here",
    MemberRemove: "here",
    MemberUpdate: "here",
    MemberList: "here",
    MemberPromote: "here"
  },
  "etcdserverpb.Maintenance": {
    Alarm: write,
    Status: "here",
    Defragment: "here",
    Hash: "here",
    HashKV: "here",
    MoveLeader: "here",
    Downgrade: "here"
  },
  "etcdserverpb.Auth": {
    AuthEnable: write,
    AuthDisable: write,
    AuthStatus: read,
    // A token that nobody was told of is forgotten after its time.
    Authenticate: read,
    UserAdd: write,
    UserGet: read,
    UserList: read,
    UserDelete: write,
    UserChangePassword: write,
    UserGrantRole: write,
    UserRevokeRole: write,
    RoleAdd: write,
    RoleGet: read,
    RoleList: read,
    RoleDelete: write,
    RoleGrantPermission: write,
    RoleRevokePermission: write
  },
  "v3lockpb.Lock": { Lock: "here", Unlock: "here" },
  "v3electionpb.Election": { Campaign: "here", Proclaim: "here", Leader: "here", Resign: "here" },
  "grpc.health.v1.Health": { Check: "here" }
}

const routeOf = (forwarding: Forwarding["Service"], method: string, place: Place): Route => {
  if (place === "here") return routeHere
  const local = "unlessReads" in place
  const rule = local ? place.unlessReads : place
  return (call, request, context) => {
    const { check, reads, reply, run } = call
    if (local && reads) return run(reply.fail)
    forwarding.run({ rules: rule, method, request, context, reply, check, here: run })
  }
}

/** One for each unary method. */
export const makeRoutes = (forwarding: Forwarding["Service"]): ReadonlyMap<string, Route> =>
  new Map(
    Object.entries(table).flatMap(([service, rpcs]) =>
      Object.entries(rpcs).map(([rpc, place]): [string, Route] => {
        const method = `/${service}/${rpc}`
        return [method, routeOf(forwarding, method, place)]
      })
    )
  )
