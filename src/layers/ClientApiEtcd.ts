/** `ClientApi` as etcd answers it: a table of methods over the services. */
import { Clock, Effect, Layer } from "effect"
import { assert } from "../core/assert.ts"
import { Code, type EtcdError, errors, etcdError } from "../core/wire/errors.ts"
import { type CallContext, ClientApi, type StreamIn, type StreamOut } from "../services/ClientApi.ts"
import { Access } from "../services/Access.ts"
import { Alarms } from "../services/Alarms.ts"
import { Auth } from "../services/Auth.ts"
import { ClusterView } from "../services/ClusterView.ts"
import { EtcdExport } from "../services/EtcdExport.ts"
import { Forwarding } from "../services/Forwarding.ts"
import { Kv, type Reply } from "../services/Kv.ts"
import { Leases } from "../services/Leases.ts"
import { LocalStore, type LocalStoreFailed } from "../services/LocalStore.ts"
import { Membership } from "../services/Membership.ts"
import { Metrics } from "../services/Metrics.ts"
import { NodeStatus } from "../services/NodeStatus.ts"
import { PeerNetwork } from "../services/PeerNetwork.ts"
import { Quota } from "../services/Quota.ts"
import { Replicator } from "../services/Replicator.ts"
import { Settings } from "../services/Settings.ts"
import { Supervisor } from "../services/Supervisor.ts"
import { WatchHub } from "../services/WatchHub.ts"
import { authMethods } from "./clientapi/authMethods.ts"
import { clusterMethods } from "./clientapi/clusterMethods.ts"
import { electionMethods } from "./clientapi/electionMethods.ts"
import { healthMethods } from "./clientapi/healthMethods.ts"
import { kvMethods } from "./clientapi/kvMethods.ts"
import { keepAliveStream, leaseMethods } from "./clientapi/leaseMethods.ts"
import { lockMethods } from "./clientapi/lockMethods.ts"
import { maintenanceDataMethods, snapshotStream } from "./clientapi/maintenanceData.ts"
import { type Disk, hasLeader, maintenanceMethods } from "./clientapi/maintenanceMethods.ts"
import { makeMembers } from "./clientapi/members.ts"
import { methods } from "./clientapi/methods.ts"
import { observeStream } from "./clientapi/observe.ts"
import { rangeStream } from "./clientapi/rangeStream.ts"
import { makeRoutes } from "./clientapi/routes.ts"
import { makeRun } from "./clientapi/run.ts"
import { endedStream, healthWatch, type StreamMethod, watchStream } from "./clientapi/streams.ts"

/** A stream that asked for a leader lives this long without one (rule W16: three election timeouts). */
const leaderlessSecondsMax = 3

const unknownMethod = (method: string): EtcdError => etcdError(Code.Unimplemented, `netsy: unknown method ${method}`)

const wantsLeader = (context: CallContext): boolean => context.metadata("hasleader") === "true"

export const layer: Layer.Layer<
  ClientApi,
  never,
  | Kv
  | WatchHub
  | Leases
  | Alarms
  | Access
  | Auth
  | EtcdExport
  | Quota
  | Forwarding
  | Replicator
  | ClusterView
  | PeerNetwork
  | NodeStatus
  | Membership
  | LocalStore
  | Settings
  | Metrics
  | Supervisor
> = Layer.effect(
  ClientApi,
  Effect.gen(function* () {
    const access = yield* Access
    const exporter = yield* EtcdExport
    const kv = yield* Kv
    const membership = yield* Membership
    const status = yield* NodeStatus
    const local = yield* LocalStore
    const settings = yield* Settings
    const supervisor = yield* Supervisor
    const replicator = yield* Replicator
    const forwarding = yield* Forwarding
    const clock = yield* Clock.Clock
    const run = yield* makeRun(supervisor)

    const fromDisk = <A>(effect: Effect.Effect<A, LocalStoreFailed>, reply: Reply<A>): void => {
      run(effect, {
        onSuccess: reply.succeed,
        onFailure: (error) => reply.fail(etcdError(Code.Internal, `netsy: ${error.message}`))
      })
    }
    const disk: Disk = {
      size: (reply) => fromDisk(local.size, reply),
      defragment: (reply) => fromDisk(Effect.asVoid(local.defragment(0)), reply)
    }

    const { maxRequestBytes, maxTxnOps, quotaBytes } = settings.limits
    const hub = yield* WatchHub
    const leases = yield* Leases
    const quota = yield* Quota
    const members = makeMembers(yield* ClusterView, yield* PeerNetwork)
    const locks = { access, kv, hub, leases, quota, forwarding, waiting: { callers: 0 } }
    const unaryMethods = new Map([
      ...kvMethods({
        access,
        kv,
        quota,
        metrics: yield* Metrics,
        clock,
        maxRequestBytes,
        maxTxnOps
      }),
      ...leaseMethods({ access, leases, quota }),
      ...lockMethods(locks),
      ...electionMethods(locks),
      ...clusterMethods({ access, kv, members, membership, status }),
      ...maintenanceMethods({
        access,
        kv,
        alarms: yield* Alarms,
        status,
        members,
        handOver: replicator.handOver,
        disk,
        quotaBytes
      }),
      ...maintenanceDataMethods({ access, exporter, status, revision: kv.revision, run }),
      ...authMethods(yield* Auth, access, maxRequestBytes),
      ...healthMethods(access)
    ])
    const streamMethods = new Map<string, StreamMethod>([
      ["/etcdserverpb.KV/RangeStream", rangeStream(kv, access, maxRequestBytes)],
      ["/etcdserverpb.Watch/Watch", watchStream(hub, access)],
      ["/etcdserverpb.Lease/LeaseKeepAlive", keepAliveStream(access, forwarding)],
      ["/v3electionpb.Election/Observe", observeStream(locks)],
      ["/etcdserverpb.Maintenance/Snapshot", snapshotStream({ access, exporter, run })],
      ["/grpc.health.v1.Health/Watch", healthWatch]
    ])

    const routes = makeRoutes(forwarding)
    for (const [method, kind] of methods) {
      const served = kind === "unary" ? unaryMethods.has(method) && routes.has(method) : streamMethods.has(method)
      assert(served, `nobody serves ${method}`)
    }

    /** Ends a stream for want of a leader. */
    const leaderBound = new Set<() => void>()

    const boundToLeader = (open: StreamMethod, out: StreamOut, context: CallContext): StreamIn => {
      const stream = open(out, context)
      const end = (): void => {
        leaderBound.delete(end)
        stream.closed()
        out.end(errors.noLeader)
      }
      leaderBound.add(end)
      return {
        ...stream,
        closed: () => {
          leaderBound.delete(end)
          stream.closed()
        }
      }
    }

    let leaderlessSeconds = 0
    yield* supervisor.spawn(
      "streams without a leader",
      Effect.sync(() => {
        leaderlessSeconds = hasLeader(status) ? 0 : leaderlessSeconds + 1
        if (leaderlessSeconds >= leaderlessSecondsMax) for (const end of leaderBound) end()
      }).pipe(Effect.delay("1 second"), Effect.forever)
    )

    const unary: ClientApi["Service"]["unary"] = (method, request, context, reply) => {
      const handler = unaryMethods.get(method)
      if (handler === undefined) reply.fail(unknownMethod(method))
      else if (wantsLeader(context) && !hasLeader(status)) reply.fail(errors.noLeader)
      else handler(request, context, reply, routes.get(method)!)
    }
    forwarding.serve(unary)

    return ClientApi.of({
      methods,
      unary,
      stream: (method, context, out) => {
        const open = streamMethods.get(method)
        if (open === undefined) {
          out.end(unknownMethod(method))
          return endedStream
        }
        if (!wantsLeader(context)) return open(out, context)
        if (hasLeader(status)) return boundToLeader(open, out, context)
        out.end(errors.noLeader)
        return endedStream
      }
    })
  })
)
