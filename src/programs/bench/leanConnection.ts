/**
 * A gRPC connection for the load generator: just enough HTTP/2 for unary calls, by hand, with one write per turn of the
 * event loop. grpc-js needs 100 µs and more for a call, which would be measured instead of the server; this needs a
 * tenth of it.
 *
 * An answer with a message is a success and one without is a failure, as gRPC has it for unary calls, so response headers
 * are not decoded. The peer is told to keep no header table, so they need no state either.
 */
import { connect, type Socket } from "node:net"
import { Effect, type Scope } from "effect"
import { BenchFailure } from "./failure.ts"

const Frame = {
  Data: 0,
  Headers: 1,
  Reset: 3,
  Settings: 4,
  Ping: 6,
  GoAway: 7,
  WindowUpdate: 8,
  Continuation: 9
} as const
const Flag = { EndStream: 1, Ack: 1, EndHeaders: 4, Padded: 8 } as const
const Setting = { HeaderTableSize: 1, EnablePush: 2, MaxConcurrentStreams: 3, InitialWindowSize: 4 } as const

const frameHeadBytes = 9
const messageHeadBytes = 5
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
const defaultWindowBytes = 65_535
/** Ours, of the connection and of each stream; announced again after half of it. */
const receiveWindowBytes = 64 << 20

const frame = (type: number, flags: number, stream: number, payload: Uint8Array): Buffer => {
  const bytes = Buffer.allocUnsafe(frameHeadBytes + payload.length)
  bytes.writeUIntBE(payload.length, 0, 3)
  bytes[3] = type
  bytes[4] = flags
  bytes.writeUInt32BE(stream, 5)
  bytes.set(payload, frameHeadBytes)
  return bytes
}

const word = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(value, 0)
  return bytes
}

const settings = (pairs: ReadonlyArray<readonly [id: number, value: number]>): Buffer => {
  const bytes = Buffer.alloc(pairs.length * 6)
  pairs.forEach(([id, value], i) => {
    bytes.writeUInt16BE(id, i * 6)
    bytes.writeUInt32BE(value, i * 6 + 2)
  })
  return bytes
}

/** HPACK strings, not compressed; all of ours are shorter than 127 bytes. */
const text = (value: string): Buffer => Buffer.concat([Buffer.of(value.length), Buffer.from(value, "latin1")])

/** HPACK: `:method: POST` and `:scheme: http` are entries of the static table, the others literals without indexing. */
const requestHeaders = (method: string): Buffer => {
  const authority = Buffer.concat([Buffer.of(0x01), text("bench")])
  const path = Buffer.concat([Buffer.of(0x04), text(method)])
  const contentType = Buffer.concat([Buffer.of(0x0f, 0x10), text("application/grpc")])
  const te = Buffer.concat([Buffer.of(0x00), text("te"), text("trailers")])
  return Buffer.concat([Buffer.of(0x83, 0x86), authority, path, contentType, te])
}

/** Told the message, or why there is none. */
export type Answered = (message: Buffer | undefined, problem: string) => void

interface Call {
  readonly answered: Answered
  body: Buffer | undefined
}

export class LeanConnection {
  readonly #socket: Socket
  readonly #headers = new Map<string, Buffer>()
  readonly #calls = new Map<number, Call>()
  #nextStream = 1
  #sendWindow = defaultWindowBytes
  #received = 0
  #rest: Buffer = Buffer.alloc(0)
  /** Frames of this turn, and requests that wait for the peer's window. */
  #out: Array<Buffer> = []
  #waiting: Array<{ readonly method: string; readonly message: Buffer; readonly answered: Answered }> = []
  #flushing = false
  #broken: string | undefined

  constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on("data", (bytes) => this.#take(bytes))
    socket.on("close", () => this.#fail("the connection was closed"))
    socket.on("error", (error) => this.#fail(error.message))
    const ours = settings([
      [Setting.HeaderTableSize, 0],
      [Setting.EnablePush, 0],
      [Setting.InitialWindowSize, receiveWindowBytes]
    ])
    this.#push(Buffer.from(preface, "latin1"))
    this.#push(frame(Frame.Settings, 0, 0, ours))
    this.#push(frame(Frame.WindowUpdate, 0, 0, word(receiveWindowBytes - defaultWindowBytes)))
  }

  send(method: string, message: Buffer, answered: Answered): void {
    if (this.#broken !== undefined) return answered(undefined, this.#broken)
    const size = messageHeadBytes + message.length
    if (size > this.#sendWindow || this.#waiting.length > 0) {
      this.#waiting.push({ method, message, answered })
      return
    }
    this.#sendWindow -= size
    const stream = this.#nextStream
    this.#nextStream += 2
    this.#calls.set(stream, { answered, body: undefined })
    let headers = this.#headers.get(method)
    if (headers === undefined) this.#headers.set(method, (headers = requestHeaders(method)))
    const body = Buffer.allocUnsafe(size)
    body[0] = 0
    body.writeUInt32BE(message.length, 1)
    body.set(message, messageHeadBytes)
    this.#push(frame(Frame.Headers, Flag.EndHeaders, stream, headers))
    this.#push(frame(Frame.Data, Flag.EndStream, stream, body))
  }

  #push(bytes: Buffer): void {
    this.#out.push(bytes)
    if (this.#flushing) return
    this.#flushing = true
    queueMicrotask(() => {
      this.#flushing = false
      const out = this.#out
      this.#out = []
      if (this.#broken === undefined) this.#socket.write(out.length === 1 ? out[0]! : Buffer.concat(out))
    })
  }

  #take(bytes: Buffer): void {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    let at = 0
    while (all.length - at >= frameHeadBytes && this.#broken === undefined) {
      const length = all.readUIntBE(at, 3)
      const end = at + frameHeadBytes + length
      if (end > all.length) break
      this.#frame(
        all[at + 3]!,
        all[at + 4]!,
        all.readUInt32BE(at + 5) & 0x7fffffff,
        all.subarray(at + frameHeadBytes, end)
      )
      at = end
    }
    this.#rest = all.subarray(at)
  }

  #frame(type: number, flags: number, stream: number, payload: Buffer): void {
    switch (type) {
      case Frame.Data: {
        if ((flags & Flag.Padded) !== 0) return this.#fail("the server pads frames, which is not understood here")
        const call = this.#calls.get(stream)
        if (call !== undefined) call.body = call.body === undefined ? payload : Buffer.concat([call.body, payload])
        this.#received += payload.length
        if (this.#received > receiveWindowBytes / 2) {
          this.#push(frame(Frame.WindowUpdate, 0, 0, word(this.#received)))
          this.#received = 0
        }
        break
      }
      case Frame.Headers:
        if ((flags & Flag.EndHeaders) === 0)
          return this.#fail("the server splits headers, which is not understood here")
        break
      case Frame.Reset:
        return this.#end(stream, `the server reset the stream with code ${payload.readUInt32BE(0)}`)
      case Frame.Settings:
        if ((flags & Flag.Ack) === 0) this.#settings(payload)
        return
      case Frame.Ping:
        if ((flags & Flag.Ack) === 0) this.#push(frame(Frame.Ping, Flag.Ack, 0, payload))
        return
      case Frame.GoAway:
        return this.#fail(`the server said goodbye with code ${payload.readUInt32BE(4)}`)
      case Frame.WindowUpdate:
        // Windows of streams are never filled: a request is far smaller than the least that a server grants.
        if (stream === 0) this.#opened(payload.readUInt32BE(0) & 0x7fffffff)
        return
      case Frame.Continuation:
        return this.#fail("the server splits headers, which is not understood here")
      default:
        return
    }
    if ((flags & Flag.EndStream) !== 0) this.#end(stream, "the server answered with an error")
  }

  #settings(payload: Buffer): void {
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      const value = payload.readUInt32BE(at + 2)
      const id = payload.readUInt16BE(at)
      if (id === Setting.MaxConcurrentStreams && value < 100)
        return this.#fail(`the server allows only ${value} streams`)
      if (id === Setting.InitialWindowSize && value < 16_384) return this.#fail(`the server grants only ${value} bytes`)
    }
    this.#push(frame(Frame.Settings, Flag.Ack, 0, Buffer.alloc(0)))
  }

  #opened(bytes: number): void {
    this.#sendWindow += bytes
    const waiting = this.#waiting
    this.#waiting = []
    for (const { method, message, answered } of waiting) this.send(method, message, answered)
  }

  #end(stream: number, problem: string): void {
    const call = this.#calls.get(stream)
    if (call === undefined) return
    this.#calls.delete(stream)
    const { body } = call
    if (body === undefined || body.length < messageHeadBytes) return call.answered(undefined, problem)
    if (body[0] !== 0 || body.readUInt32BE(1) !== body.length - messageHeadBytes) {
      return call.answered(undefined, "the server sent a message of another form")
    }
    call.answered(body.subarray(messageHeadBytes), "")
  }

  #fail(problem: string): void {
    if (this.#broken !== undefined) return
    this.#broken = problem
    this.#socket.destroy()
    const calls = [...this.#calls.values(), ...this.#waiting]
    this.#calls.clear()
    this.#waiting = []
    for (const call of calls) call.answered(undefined, problem)
  }
}

/** Closed with the scope. */
export const leanConnection = (port: number): Effect.Effect<LeanConnection, BenchFailure, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Socket, BenchFailure>((resume) => {
      const socket = connect(port, "127.0.0.1")
      const refused = (error: Error): void => resume(Effect.fail(new BenchFailure({ message: error.message })))
      socket.once("error", refused)
      socket.once("connect", () => {
        socket.removeListener("error", refused)
        resume(Effect.succeed(socket))
      })
    }),
    (socket) => Effect.sync(() => socket.destroy())
  ).pipe(Effect.map((socket) => new LeanConnection(socket)))
