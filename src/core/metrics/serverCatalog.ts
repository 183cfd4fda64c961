/** Metrics of gRPC servers and of processes, by the names that Prometheus users know from everywhere. */
import { counter, gauge, histogram, secondsBuckets } from "./entry.ts"

const method = ["grpc_type", "grpc_service", "grpc_method"] as const

export const grpcCatalog = {
  started: counter("grpc_server_started_total", "Total number of RPCs started on the server.", ...method),
  handled: counter(
    "grpc_server_handled_total",
    "Total number of RPCs completed on the server, regardless of success or failure.",
    ...method,
    "grpc_code"
  ),
  received: counter(
    "grpc_server_msg_received_total",
    "Total number of RPC stream messages received on the server.",
    ...method
  ),
  sent: counter("grpc_server_msg_sent_total", "Total number of gRPC stream messages sent by the server.", ...method),
  handling: histogram(
    "grpc_server_handling_seconds",
    "Histogram of response latency (seconds) of gRPC that had been application-level handled by the server.",
    secondsBuckets,
    ...method
  )
} as const

export const processCatalog = {
  start: gauge("process_start_time_seconds", "Start of the process, seconds since 1970."),
  cpu: counter("process_cpu_seconds_total", "User and system CPU time."),
  resident: gauge("process_resident_memory_bytes", "Resident memory."),
  openFds: gauge("process_open_fds", "Open file descriptors."),
  maxFds: gauge("process_max_fds", "Most file descriptors that may be open."),
  heapUsed: gauge("nodejs_heap_size_used_bytes", "Heap in use."),
  heapTotal: gauge("nodejs_heap_size_total_bytes", "Heap taken from the system."),
  external: gauge("nodejs_external_memory_bytes", "Memory of buffers outside of the heap."),
  lag99: gauge("nodejs_eventloop_lag_p99_seconds", "99th percentile of the main loop's delay since the last scrape."),
  lagMax: gauge("nodejs_eventloop_lag_max_seconds", "Longest delay of the main loop since the last scrape.")
} as const
