/** `ClientApi` as etcd answers it: KV, Watch, MemberList, Status, Alarm list and gRPC health; the rest is refused. */
import { Clock, Effect, Layer } from "effect"
import { Code, type EtcdError, errors, etcdError } from "../core/wire/errors.ts"
import { type CallContext, ClientApi, type StreamIn, type StreamOut } from "../services/ClientApi.ts"
import { Kv } from "../services/Kv.ts"
import { LocalStore } from "../services/LocalStore.ts"
import { Membership } from "../services/Membership.ts"
import { Metrics } from "../services/Metrics.ts"
import { NodeStatus } from "../services/NodeStatus.ts"
import { Settings } from "../services/Settings.ts"
import { Supervisor } from "../services/Supervisor.ts"
import { WatchHub } from "../services/WatchHub.ts"
import { adminMethods, hasLeader, type Size } from "./clientapi/adminMethods.ts"
import { kvMethods } from "./clientapi/kvMethods.ts"
import { methods } from "./clientapi/methods.ts"
import { endedStream, healthWatch, type StreamMethod, watchStream } from "./clientapi/streams.ts"

/** A stream that asked for a leader lives this long without one (rule W16: three election timeouts). */
const leaderlessSecondsMax = 3

const refusal = (method: string): EtcdError =>
  etcdError(
    Code.Unimplemented,
    methods.has(method) ? `netsy: method ${method} is not implemented` : `netsy: unknown method ${method}`
  )

const wantsLeader = (context: CallContext): boolean => context.metadata("hasleader") === "true"

export const layer: Layer.Layer<
  ClientApi,
  never,
  Kv | WatchHub | NodeStatus | Membership | LocalStore | Settings | Metrics | Supervisor
> = Layer.effect(
  ClientApi,
  Effect.gen(function* () {
    const kv = yield* Kv
    const status = yield* NodeStatus
    const local = yield* LocalStore
    const settings = yield* Settings
    const supervisor = yield* Supervisor
    const clock = yield* Clock.Clock
    const run = Effect.runForkWith(yield* Effect.context<never>())

    const size: Size = (use, fail) => {
      run(
        Effect.match(local.size, {
          onSuccess: use,
          onFailure: (error) => fail(etcdError(Code.Internal, `netsy: ${error.message}`))
        })
      )
    }

    const unaryMethods = new Map([
      ...kvMethods(kv, yield* Metrics, clock, settings.limits.maxRequestBytes),
      ...adminMethods({
        kv,
        status,
        membership: yield* Membership,
        size,
        quotaBytes: settings.limits.quotaBytes
      })
    ])
    const streamMethods = new Map<string, StreamMethod>([
      ["/etcdserverpb.Watch/Watch", watchStream(yield* WatchHub)],
      ["/grpc.health.v1.Health/Watch", healthWatch]
    ])

    /** Ends a stream for want of a leader. */
    const leaderBound = new Set<() => void>()

    const boundToLeader = (open: StreamMethod, out: StreamOut): StreamIn => {
      const stream = open(out)
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

    return ClientApi.of({
      methods,
      unary: (method, request, context, reply) => {
        const handler = unaryMethods.get(method)
        if (handler === undefined) reply.fail(refusal(method))
        else if (wantsLeader(context) && !hasLeader(status)) reply.fail(errors.noLeader)
        else handler(request, reply)
      },
      stream: (method, context, out) => {
        const open = streamMethods.get(method)
        if (open === undefined) {
          out.end(refusal(method))
          return endedStream
        }
        if (!wantsLeader(context)) return open(out)
        if (hasLeader(status)) return boundToLeader(open, out)
        out.end(errors.noLeader)
        return endedStream
      }
    })
  })
)
