/** Calls of the AWS SDK as effects: time limits, cancelling, and errors narrowed to what each operation's contract knows. */
import { Readable } from "node:stream"
import { Effect } from "effect"
import { assert } from "../../core/assert.ts"
import {
  type Denied,
  type ObjectStoreError,
  type ReadError,
  Unavailable,
  type WriteError
} from "../../services/ObjectStore.ts"
import { classify, type RequestKind } from "./s3Errors.ts"

/** One promise of the SDK, cancelled when the fiber is interrupted or the time is up. */
export const call = <A>(
  kind: RequestKind,
  operation: string,
  key: string,
  timeoutMillis: number,
  run: (signal: AbortSignal) => Promise<A>
): Effect.Effect<A, ObjectStoreError> =>
  Effect.tryPromise({
    try: (interrupted) => run(AbortSignal.any([interrupted, AbortSignal.timeout(timeoutMillis)])),
    catch: (error) => {
      if (error instanceof Unavailable) return error
      const aborted = error instanceof Error && error.name === "AbortError"
      if (aborted) return new Unavailable({ operation, key, reason: `no answer within ${timeoutMillis} ms` })
      return classify(kind, operation, key, error)
    }
  })

/** For operations whose contract knows no more than these two. */
export const plain = (error: ObjectStoreError): Unavailable | Denied => {
  assert(error._tag === "Unavailable" || error._tag === "Denied", `${error.message}: unexpected ${error._tag}`)
  return error
}

// The classifier returns only what its kind allows; these two say so to the compiler, and check it.
export const asRead = <A>(effect: Effect.Effect<A, ObjectStoreError>): Effect.Effect<A, ReadError> =>
  Effect.mapError(effect, (error) => {
    assert(error._tag !== "PreconditionFailed" && error._tag !== "Conflict", `read failed with ${error._tag}`)
    return error
  })
export const asWrite = <A>(effect: Effect.Effect<A, ObjectStoreError>): Effect.Effect<A, WriteError> =>
  Effect.mapError(effect, (error) => {
    assert(error._tag !== "NotFound", "write failed with NotFound")
    return error
  })
export const asPlain = <A>(effect: Effect.Effect<A, ObjectStoreError>): Effect.Effect<A, Unavailable | Denied> =>
  Effect.mapError(effect, plain)

/** Runs a request whose answer's body outlives the signal. */
export const untilHead = async <A>(signal: AbortSignal, run: (signal: AbortSignal) => Promise<A>): Promise<A> => {
  const own = new AbortController()
  const abort = (): void => own.abort()
  signal.addEventListener("abort", abort)
  try {
    return await run(own.signal)
  } finally {
    signal.removeEventListener("abort", abort)
  }
}

/**
 * A body for the SDK that never fails: inside the SDK a failing stream is either not noticed or ends the process.
 * Instead it stops, `broken` aborts the request, and `failure` says why.
 */
export const quietSource = (pieces: AsyncIterable<Uint8Array>) => {
  const broken = new AbortController()
  const closed = Promise.withResolvers<void>()
  let failure: unknown
  const generate = async function* () {
    try {
      yield* pieces
    } catch (error) {
      failure = error
      broken.abort()
      await closed.promise
    }
  }
  const body = Readable.from(generate(), { objectMode: false })
  const close = (): void => {
    body.destroy()
    closed.resolve()
  }
  return { body, broken: broken.signal, failure: () => failure, close }
}
