/**
 * Calls of this process to its own `ClientApi`: unary ones as effects, streams as pulls. When the node ends, whatever is
 * under way fails, and so does everything that comes later: nobody is left waiting.
 */
import { Cause, Effect, type Pull, type Scope } from "effect"
import { type EtcdError, errors } from "../../core/wire/errors.ts"
import type { CallContext, ClientApi, StreamIn } from "../../services/ClientApi.ts"
import { clientError, type ClientError } from "../../services/ClientError.ts"

export interface Unary<Request, Response> {
  /** Full gRPC path. */
  readonly method: string
  readonly encode: (request: Request) => Uint8Array
  readonly decode: (bytes: Uint8Array) => Response
}

export type StreamOf<Request, Response> = Unary<Request, Response>

/** A stream that was opened with one request. */
export interface Opened<Response> {
  /** What has come since the last time, at least one. */
  readonly pull: Pull.Pull<readonly [Response, ...Array<Response>], ClientError>
}

export interface CallsOptions {
  readonly api: ClientApi["Service"]
  /** Compaction revision of the moment. */
  readonly floor: () => number
  /** A defect of a handler: it ends the node. */
  readonly defect: (error: unknown) => void
}

/** What a receiver that does not pull is sent before it counts as full. */
const waitingMessagesMax = 64
const waitingBytesMax = 1 << 20

const nothing = (): void => {}

export class Calls {
  readonly #options: CallsOptions
  readonly #token: string | undefined
  /** How to fail what is under way; shared by all clients of the node. */
  readonly #life: { ended: boolean; readonly open: Set<() => void> }

  constructor(options: CallsOptions, token?: string, life?: { ended: boolean; readonly open: Set<() => void> }) {
    this.#options = options
    this.#token = token
    this.#life = life ?? { ended: false, open: new Set() }
  }

  /** The same calls as a user. */
  withToken(token: string): Calls {
    return new Calls(this.#options, token, this.#life)
  }

  /** The node has ended, or its layer is closed. */
  end(): void {
    this.#life.ended = true
    for (const end of [...this.#life.open]) end()
  }

  unary<Request, Response>(
    { decode, encode, method }: Unary<Request, Response>,
    request: Request
  ): Effect.Effect<Response, ClientError> {
    return Effect.suspend(() => {
      // What cannot be encoded is a defect of the program, not of the node.
      const bytes = encode(request)
      return this.#call(method, bytes, decode)
    })
  }

  #call<Response>(
    method: string,
    request: Uint8Array,
    decode: (bytes: Uint8Array) => Response
  ): Effect.Effect<Response, ClientError> {
    return Effect.callback<Response, ClientError>((resume) => {
      const { open, ended } = this.#life
      if (ended) return resume(Effect.fail(this.#error(errors.serverStopped)))
      let over = false
      let whenClosed: () => void = nothing
      const settle = (result: Effect.Effect<Response, ClientError>): void => {
        if (over) return
        close()
        resume(result)
      }
      const close = (): void => {
        over = true
        open.delete(stop)
        whenClosed()
      }
      const stop = (): void => settle(Effect.fail(this.#error(errors.serverStopped)))
      open.add(stop)
      const context = this.#context((listener) => {
        if (over) listener()
        else whenClosed = listener
      })
      this.#guarded(() =>
        this.#options.api.unary(method, request, context, {
          succeed: (bytes) => settle(Effect.sync(() => decode(bytes))),
          fail: (error) => settle(Effect.fail(this.#error(error)))
        })
      )
      return Effect.sync(() => {
        if (!over) close()
      })
    })
  }

  /** The stream ends with the scope. */
  open<Request, Response>(
    { decode, encode, method }: StreamOf<Request, Response>,
    request: Request
  ): Effect.Effect<Opened<Response>, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.sync(() => new Receiver(this.#life, (error) => this.#error(error))),
      (receiver) => Effect.sync(() => receiver.close())
    ).pipe(
      Effect.map((receiver) => {
        const bytes = encode(request)
        this.#guarded(() => {
          const stream = this.#options.api.stream(method, this.#context(undefined), receiver)
          receiver.begin(stream, bytes)
        })
        return { pull: receiver.pull(decode) }
      })
    )
  }

  #error(error: EtcdError): ClientError {
    return clientError(error, this.#options.floor())
  }

  #context(onClosed: CallContext["onClosed"] | undefined): CallContext {
    const token = this.#token
    const metadata = (name: string): string | undefined => (name === "token" ? token : undefined)
    const caller = { identity: undefined, commonName: undefined, metadata }
    return onClosed === undefined ? caller : { ...caller, onClosed }
  }

  #guarded(run: () => void): void {
    try {
      run()
    } catch (error) {
      this.#options.defect(error)
    }
  }
}

/** Takes a stream's messages until somebody pulls them; full, it says so, and again when it has room. */
class Receiver {
  readonly #life: { readonly ended: boolean; readonly open: Set<() => void> }
  readonly #error: (error: EtcdError) => ClientError
  #stream: StreamIn | undefined
  #messages: Array<Uint8Array> = []
  #bytes = 0
  #full = false
  #closed = false
  #end: { readonly error: EtcdError | undefined } | undefined
  #wake: (() => void) | undefined

  constructor(
    life: { readonly ended: boolean; readonly open: Set<() => void> },
    error: (error: EtcdError) => ClientError
  ) {
    this.#life = life
    this.#error = error
    life.open.add(this.#stop)
    if (life.ended) this.#stop()
  }

  begin(stream: StreamIn, request: Uint8Array): void {
    this.#stream = stream
    // It may be over before it has begun.
    if (this.#end === undefined) stream.message(request)
    else stream.closed()
  }

  readonly send = (message: Uint8Array): boolean => {
    this.#messages.push(message)
    this.#bytes += message.length
    this.#full = this.#messages.length >= waitingMessagesMax || this.#bytes >= waitingBytesMax
    this.#wake?.()
    return !this.#full
  }

  readonly end = (error: EtcdError | undefined): void => {
    this.#end ??= { error }
    this.#wake?.()
  }

  readonly #stop = (): void => {
    this.end(errors.serverStopped)
  }

  pull<A>(decode: (bytes: Uint8Array) => A): Pull.Pull<readonly [A, ...Array<A>], ClientError> {
    const take = (): Pull.Pull<readonly [A, ...Array<A>], ClientError> | undefined => {
      const [first, ...rest] = this.#messages
      if (first !== undefined) {
        this.#messages = []
        this.#bytes = 0
        const answer = Effect.succeed([decode(first), ...rest.map(decode)] as const)
        if (this.#full) {
          this.#full = false
          this.#stream?.drained()
        }
        return answer
      }
      if (this.#end === undefined) return undefined
      const { error } = this.#end
      return error === undefined ? Cause.done() : Effect.fail(this.#error(error))
    }
    const wait = Effect.callback<void>((resume) => {
      this.#wake = () => {
        this.#wake = undefined
        resume(Effect.void)
      }
      return Effect.sync(() => {
        this.#wake = undefined
      })
    })
    const pull: Pull.Pull<readonly [A, ...Array<A>], ClientError> = Effect.suspend(
      () => take() ?? Effect.flatMap(wait, () => pull)
    )
    return pull
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#life.open.delete(this.#stop)
    this.#messages = []
    this.#stream?.closed()
  }
}
