/** Requests to a bucket as effects: time limits, cancelling, and errors narrowed to what each operation's contract knows. */
// This is the network itself: its time limits are the machine's, not the program's.
// @effect-diagnostics globalTimers:off
import { clearTimeout, setTimeout } from "node:timers"
import { Effect } from "effect"
import { assert } from "../../core/assert.ts"
import {
  type Denied,
  type ObjectStoreError,
  type ReadError,
  Unavailable,
  type WriteError
} from "../../services/ObjectStore.ts"

/** What the request was, as far as it matters for the meaning of a 404, 409 or 412. */
export type RequestKind = "read" | "list" | "write" | "ifMatch"

/** What was thrown, sorted by what the caller can do. */
export type Classify = (kind: RequestKind, operation: string, key: string, error: unknown) => ObjectStoreError

class TooLate extends Error {
  override readonly name = "TooLate"
}

/** Once settled, its signal stays quiet: the body of an answer may be read afterwards. */
const withDeadline = async <A>(
  interrupted: AbortSignal,
  timeoutMillis: number,
  run: (signal: AbortSignal) => Promise<A>
): Promise<A> => {
  const own = new AbortController()
  const abort = (): void => own.abort()
  let late = false
  const timer = setTimeout(() => {
    late = true
    own.abort()
  }, timeoutMillis)
  interrupted.addEventListener("abort", abort)
  try {
    return await run(own.signal)
  } catch (error) {
    throw late ? new TooLate(`no answer within ${timeoutMillis} ms`) : error
  } finally {
    clearTimeout(timer)
    interrupted.removeEventListener("abort", abort)
  }
}

/** One promise of a client, cancelled when the fiber is interrupted or the time is up. */
export const calls =
  (classify: Classify) =>
  <A>(
    kind: RequestKind,
    operation: string,
    key: string,
    timeoutMillis: number,
    run: (signal: AbortSignal) => Promise<A>
  ): Effect.Effect<A, ObjectStoreError> =>
    Effect.tryPromise({
      try: (interrupted) => withDeadline(interrupted, timeoutMillis, run),
      catch: (error) => {
        if (error instanceof Unavailable) return error
        if (error instanceof TooLate) return new Unavailable({ operation, key, reason: error.message })
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
