/**
 * The `grpc_server_*` metrics with the names and labels of go-grpc-prometheus (netsy-1x.md 14.2), all there as 0 before the
 * first call, and etcd's counts of bytes. The JSON gateway's calls count too, as they do in etcd.
 */
import type { Clock } from "effect"
import { etcdCatalog } from "../../core/metrics/etcdCatalog.ts"
import { grpcCatalog } from "../../core/metrics/serverCatalog.ts"
import type { MethodKind } from "../../services/ClientApi.ts"
import type { Labels, Metrics } from "../../services/Metrics.ts"

const codeNames = [
  "OK",
  "Canceled",
  "Unknown",
  "InvalidArgument",
  "DeadlineExceeded",
  "NotFound",
  "AlreadyExists",
  "PermissionDenied",
  "ResourceExhausted",
  "FailedPrecondition",
  "Aborted",
  "OutOfRange",
  "Unimplemented",
  "Internal",
  "Unavailable",
  "DataLoss",
  "Unauthenticated"
]

const kindNames: Readonly<Record<MethodKind, string>> = {
  unary: "unary",
  serverStream: "server_stream",
  bidi: "bidi_stream"
}

export interface MethodMetrics {
  readonly received: (bytes: number) => void
  readonly sent: (bytes: number) => void
  /** Counts a call; the result is to be called once with its status code. */
  readonly started: () => (code: number) => void
}

export const makeGrpcMetrics = (
  metrics: Metrics["Service"],
  clock: Clock.Clock
): ((method: string, kind: MethodKind) => MethodMetrics) => {
  const startedTotal = metrics.counter(grpcCatalog.started)
  const handledTotal = metrics.counter(grpcCatalog.handled)
  const receivedTotal = metrics.counter(grpcCatalog.received)
  const sentTotal = metrics.counter(grpcCatalog.sent)
  const handlingSeconds = metrics.histogram(grpcCatalog.handling)
  const receivedBytes = metrics.counter(etcdCatalog.grpcReceived)
  const sentBytes = metrics.counter(etcdCatalog.grpcSent)
  return (method, kind) => {
    const [, service = "", rpc = ""] = method.split("/")
    // Frozen: found by identity, several times in each call.
    const own: Labels = Object.freeze({ grpc_type: kindNames[kind], grpc_service: service, grpc_method: rpc })
    const withCode = codeNames.map((name): Labels => Object.freeze({ ...own, grpc_code: name }))
    for (const total of [startedTotal, receivedTotal, sentTotal]) total.inc(own, 0)
    for (const one of withCode) handledTotal.inc(one, 0)
    return {
      received: (bytes) => {
        receivedTotal.inc(own)
        receivedBytes.inc(undefined, bytes)
      },
      sent: (bytes) => {
        sentTotal.inc(own)
        sentBytes.inc(undefined, bytes)
      },
      started: () => {
        startedTotal.inc(own)
        const start = clock.monotonicTimeNanosUnsafe()
        return (code) => {
          handledTotal.inc(withCode[code] ?? withCode[2]!)
          handlingSeconds.observe(Number(clock.monotonicTimeNanosUnsafe() - start) / 1e9, own)
        }
      }
    }
  }
}
