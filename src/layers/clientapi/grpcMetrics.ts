/** The `grpc_server_*` metrics with the names and labels of go-grpc-prometheus (netsy-1x.md 14.2). */
import type { Clock } from "effect"
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
  readonly received: () => void
  readonly sent: () => void
  /** Counts a call; the result is to be called once with its status code. */
  readonly started: () => (code: number) => void
}

export const makeGrpcMetrics = (
  metrics: Metrics["Service"],
  clock: Clock.Clock
): ((method: string, kind: MethodKind) => MethodMetrics) => {
  const labels = ["grpc_type", "grpc_service", "grpc_method"]
  const startedTotal = metrics.counter({
    name: "grpc_server_started_total",
    help: "Total number of RPCs started on the server.",
    labels
  })
  const handledTotal = metrics.counter({
    name: "grpc_server_handled_total",
    help: "Total number of RPCs completed on the server, regardless of success or failure.",
    labels: [...labels, "grpc_code"]
  })
  const receivedTotal = metrics.counter({
    name: "grpc_server_msg_received_total",
    help: "Total number of RPC stream messages received on the server.",
    labels
  })
  const sentTotal = metrics.counter({
    name: "grpc_server_msg_sent_total",
    help: "Total number of gRPC stream messages sent by the server.",
    labels
  })
  const handlingSeconds = metrics.histogram({
    name: "grpc_server_handling_seconds",
    help: "Histogram of response latency (seconds) of gRPC that had been application-level handled by the server.",
    labels
  })
  return (method, kind) => {
    const [, service = "", rpc = ""] = method.split("/")
    // Frozen: found by identity, several times in each call.
    const own: Labels = Object.freeze({ grpc_type: kindNames[kind], grpc_service: service, grpc_method: rpc })
    const withCode = codeNames.map((name): Labels => Object.freeze({ ...own, grpc_code: name }))
    return {
      received: () => receivedTotal.inc(own),
      sent: () => sentTotal.inc(own),
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
