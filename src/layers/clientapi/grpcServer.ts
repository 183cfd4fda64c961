/**
 * A grpc-js server without a port: takes HTTP/2 sockets and calls handlers with undecoded bytes. Counts calls, gives
 * errors the texts of grpc-go, and holds back streams whose reader is slow.
 */
import { Http2ServerRequest, Http2ServerResponse, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2"
import type { Socket } from "node:net"
import {
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerInterceptingCall,
  type ServerInterceptor,
  type ServerUnaryCall,
  type ServerWritableStream,
  type StatusObject
} from "@grpc/grpc-js"
import { Code, type EtcdError, errors } from "../../core/wire/errors.ts"
import type { CallContext, Caller, MethodKind, StreamIn, StreamOut, UnaryReply } from "../../services/ClientApi.ts"
import type { MethodMetrics } from "./grpcMetrics.ts"
import type { HttpHandler } from "../listening/http1.ts"
import { deadlineMillisMax, isOrdinary, unaryCall, type UnaryCallOptions } from "./unaryCalls.ts"

/** Bytes of unsent messages at which a stream's handler is told to wait, and below which it may go on. */
const bufferHighBytes = 1 << 20
const bufferLowBytes = 1 << 18

const usualKeepAlive = { intervalMillis: 7_200_000, timeoutMillis: 20_000 }

/**
 * Streams that a client may cancel: at once, and per second for longer. Node's own 1000 and 33 end the connection, and
 * with it every watch on it, when an overloaded client gives up many calls.
 */
const resetsAtOnce = 100_000
const resetsPerSecond = 10_000

export interface GrpcHandlers {
  readonly methods: ReadonlyMap<string, MethodKind>
  readonly unary: (method: string, request: Uint8Array, context: CallContext, reply: UnaryReply) => void
  readonly stream: (method: string, context: CallContext, out: StreamOut) => StreamIn
}

export interface GrpcOptions extends GrpcHandlers {
  readonly maxReceiveBytes: number
  /** Streams on one connection. Default 2^32 - 1. */
  readonly maxConcurrentStreams?: number
  /** Silence after which a client is pinged, and its time to answer. Default 2 h and 20 s. */
  readonly keepAlive?: { readonly intervalMillis: number; readonly timeoutMillis: number }
  readonly metrics: (method: string, kind: MethodKind) => MethodMetrics
  /** Told of every message of a stream, for the debug log. */
  readonly trace: ((method: string, direction: "sent" | "received", bytes: number) => void) | undefined
  /** Answers what is no gRPC; without it grpc-js does, with 415. */
  readonly http?: HttpHandler
  /** A handler threw: a programming error. */
  readonly broken: (method: string, error: unknown) => void
}

export interface GrpcServer {
  /** `caller`: whose certificate the connection showed; undefined when none was asked for. */
  readonly take: (socket: Socket, caller: Caller | undefined) => void
  /** No call is under way. */
  readonly isQuiet: () => boolean
  /** No new calls; streams end as Unavailable; what is left after `graceMillis` is cut off. */
  readonly stop: (graceMillis: number) => void
}

interface Call {
  readonly metadata: { readonly get: (name: string) => ReadonlyArray<string | Buffer> }
  readonly getPeer: () => string
  readonly cancelled: boolean
  readonly once: (event: "cancelled", listener: () => void) => unknown
}

type StreamCall = ServerDuplexStream<Uint8Array, Uint8Array> | ServerWritableStream<Uint8Array, Uint8Array>

/** What grpc-js itself says about a message above the limit, in the words of grpc-go. */
const limitText = (details: string): string =>
  details
    .replace(
      /^Received message larger than max \((\d+) vs\.? (\d+)\)$/,
      "grpc: received message larger than max ($1 vs. $2)"
    )
    .replace(
      /^Received message that decompresses to a size larger than (\d+)$/,
      "grpc: received message after decompression larger than max $1"
    )

/** A copy that owns its memory: views into it are kept, and grpc-js hands out pieces of shared 8 KiB slabs. */
const received = (bytes: Buffer): Uint8Array => new Uint8Array(bytes)

const sent = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)

const deadlineUnitMillis: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000 }

/** grpc-js takes a deadline beyond `deadlineMillisMax` for one in the past. The client keeps its own time anyway. */
const isEndless = (grpcTimeout: string | undefined): boolean => {
  const match = /^(\d{1,8})([HMS])$/.exec(grpcTimeout ?? "")
  return match !== null && Number(match[1]) * deadlineUnitMillis[match[2]!]! > deadlineMillisMax
}

const isGrpc = (headers: IncomingHttpHeaders): boolean =>
  headers["content-type"]?.startsWith("application/grpc") === true

const nobody: Caller = { identity: undefined, commonName: undefined }

const statusOf = (error: EtcdError) => ({ code: error.code, details: error.message })

export const makeGrpcServer = (options: GrpcOptions): GrpcServer => {
  const methodMetrics = new Map(
    Array.from(options.methods, ([method, kind]) => [method, options.metrics(method, kind)] as const)
  )
  /** Who is behind `host:port`, for the open connections that showed a certificate. */
  const callers = new Map<string, Caller>()
  /** Ends every open stream. */
  const liveStreams = new Set<(error: EtcdError) => void>()
  /** Ends every unary call that may wait long. */
  const waiting = new Set<(error: EtcdError) => void>()
  let unaryUnderWay = 0

  const contextOf = (call: Call): CallContext => ({
    ...(callers.get(call.getPeer()) ?? nobody),
    metadata: (name) => call.metadata.get(name)[0]?.toString(),
    // "cancelled" comes after every end, whoever caused it.
    onClosed: (listener) => {
      if (call.cancelled) listener()
      else call.once("cancelled", listener)
    }
  })

  const handle: UnaryCallOptions["handle"] = (method, request, context, { succeed, fail }) => {
    let replied = false
    unaryUnderWay++
    const reply: UnaryReply = {
      succeed: (response) => {
        if (replied) return
        replied = true
        unaryUnderWay--
        succeed(response)
      },
      fail: (error) => {
        if (replied) return
        replied = true
        unaryUnderWay--
        fail(error)
      }
    }
    try {
      options.unary(method, request, context, reply)
    } catch (error) {
      reply.fail({ _tag: "EtcdError", code: Code.Internal, message: "netsy: internal error" })
      options.broken(method, error)
    }
  }

  const unary =
    (method: string) => (call: ServerUnaryCall<Uint8Array, Uint8Array>, callback: sendUnaryData<Uint8Array>) =>
      handle(method, call.request, contextOf(call), {
        succeed: (response) => callback(null, response),
        fail: (error) => callback(statusOf(error))
      })

  /** The handler's two ends of a stream. */
  const open = (method: string, call: StreamCall): StreamIn => {
    let unsentBytes = 0
    let full = false
    let ended = false
    const guarded = (body: () => void): void => {
      try {
        body()
      } catch (error) {
        end({ _tag: "EtcdError", code: Code.Internal, message: "netsy: internal error" })
        options.broken(method, error)
      }
    }
    const end = (error: EtcdError | undefined): void => {
      if (ended) return
      ended = true
      liveStreams.delete(end)
      if (error === undefined) call.end()
      else call.emit("error", statusOf(error))
    }
    const out: StreamOut = {
      send: (message) => {
        if (ended) return false
        unsentBytes += message.length
        call.write(message, () => {
          unsentBytes -= message.length
          if (!full || unsentBytes > bufferLowBytes || ended) return
          full = false
          guarded(() => stream.drained())
        })
        if (unsentBytes >= bufferHighBytes) full = true
        return !full
      },
      end
    }
    liveStreams.add(end)
    let stream: StreamIn = { message: () => {}, drained: () => {}, ended: () => {}, closed: () => {} }
    // "cancelled" comes after every end, whoever caused it.
    call.once("cancelled", () => {
      ended = true
      liveStreams.delete(end)
      guarded(() => stream.closed())
    })
    guarded(() => {
      stream = options.stream(method, contextOf(call), out)
    })
    return {
      message: (bytes) => guarded(() => stream.message(bytes)),
      drained: () => guarded(() => stream.drained()),
      ended: () => guarded(() => stream.ended()),
      closed: () => guarded(() => stream.closed())
    }
  }

  const serverStream = (method: string) => (call: ServerWritableStream<Uint8Array, Uint8Array>) => {
    const stream = open(method, call)
    stream.message(call.request)
    stream.ended()
  }

  const bidi = (method: string) => (call: ServerDuplexStream<Uint8Array, Uint8Array>) => {
    const stream = open(method, call)
    call.on("data", stream.message)
    call.on("end", stream.ended)
  }

  /**
   * Sees every status, those too that grpc-js makes itself, and every call that ends without one. `sendStatus` and
   * `start` are replaced on the call at the bottom because grpc-js's own refusals go past interceptors.
   */
  const observe: ServerInterceptor = (descriptor, call) => {
    const handled = methodMetrics.get(descriptor.path)!.started()
    let open = true
    const finish = (code: number): void => {
      if (!open) return
      open = false
      handled(code)
    }
    const sendStatus = call.sendStatus.bind(call)
    call.sendStatus = (status: Partial<StatusObject> & { code: number; details: string }) => {
      finish(status.code)
      sendStatus(status.code === Code.ResourceExhausted ? { ...status, details: limitText(status.details) } : status)
    }
    const start = call.start.bind(call)
    call.start = (listener) =>
      start({
        onReceiveMetadata: listener.onReceiveMetadata.bind(listener),
        onReceiveMessage: listener.onReceiveMessage.bind(listener),
        onReceiveHalfClose: listener.onReceiveHalfClose.bind(listener),
        onCancel: () => {
          finish(Code.Canceled)
          listener.onCancel()
        }
      })
    return call as unknown as ServerInterceptingCall
  }

  const keepAlive = options.keepAlive ?? usualKeepAlive
  const server = new Server({
    "grpc.max_receive_message_length": options.maxReceiveBytes,
    "grpc.max_send_message_length": -1,
    "grpc.keepalive_time_ms": keepAlive.intervalMillis,
    "grpc.keepalive_timeout_ms": keepAlive.timeoutMillis,
    "grpc.keepalive_permit_without_calls": 1,
    "grpc.max_concurrent_streams": options.maxConcurrentStreams ?? 0xffffffff,
    "grpc.enable_channelz": 0,
    interceptors: [observe]
  })
  for (const [method, kind] of options.methods) {
    const counts = methodMetrics.get(method)!
    const handler = kind === "unary" ? unary(method) : kind === "bidi" ? bidi(method) : serverStream(method)
    server.register(
      method,
      handler,
      (message: Uint8Array) => {
        counts.sent(message.length)
        if (kind !== "unary") options.trace?.(method, "sent", message.length)
        return sent(message)
      },
      (bytes: Buffer) => {
        counts.received(bytes.length)
        if (kind !== "unary") options.trace?.(method, "received", bytes.length)
        return received(bytes)
      },
      kind
    )
  }
  // What grpc-js has no option for, reached in brackets because it is private there.
  Object.assign(server["commonServerOptions"], { streamResetBurst: resetsAtOnce, streamResetRate: resetsPerSecond })
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure())
  const callerOf = (stream: ServerHttp2Stream): Caller => {
    if (callers.size === 0) return nobody
    const socket = stream.session?.socket
    return callers.get(`${socket?.remoteAddress}:${socket?.remotePort}`) ?? nobody
  }
  const ordinary = new Map(
    Array.from(options.methods)
      .filter(([, kind]) => kind === "unary")
      .map(([method]): [string, UnaryCallOptions] => [
        method,
        { maxReceiveBytes: options.maxReceiveBytes, metrics: methodMetrics.get(method)!, callerOf, waiting, handle }
      ])
  )
  for (const http2 of server["http2Servers"].keys()) {
    const others = http2.listeners("stream")
    http2.removeAllListeners("stream")
    const { http } = options
    http2.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, raw: Array<string>) => {
      const method = headers[":path"] ?? ""
      const call = ordinary.get(method)
      if (call !== undefined && isOrdinary(headers)) return unaryCall(method, stream, headers, call)
      if (http !== undefined && !isGrpc(headers)) {
        return http(new Http2ServerRequest(stream, headers, {}, raw), new Http2ServerResponse(stream))
      }
      if (isEndless(headers["grpc-timeout"] as string | undefined)) delete headers["grpc-timeout"]
      for (const other of others) other.call(http2, stream, headers, flags)
    })
  }
  return {
    take: (socket, caller) => {
      if (caller !== undefined) {
        const peer = `${socket.remoteAddress}:${socket.remotePort}`
        callers.set(peer, caller)
        socket.once("close", () => {
          if (callers.get(peer) === caller) callers.delete(peer)
        })
      }
      // HTTP/2 leaves the other half open, and a stream that sends nothing would not notice for hours that nobody listens.
      socket.once("end", () => socket.destroy())
      injector.injectConnection(socket)
    },
    isQuiet: () => unaryUnderWay === 0 && liveStreams.size === 0,
    stop: (graceMillis) => {
      for (const end of liveStreams) end(errors.serverStopped)
      for (const fail of waiting) fail(errors.serverStopped)
      injector.drain(graceMillis)
      injector.destroy()
    }
  }
}
