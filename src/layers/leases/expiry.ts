/**
 * Looks every half second, where time counts, for leases that have run out and has them revoked (rule L7). Time in which
 * nobody could keep a lease alive does not count: neither an outage of what the answers depend on nor a halt of the
 * process.
 */
import { Effect } from "effect"
import { bucketMillis, type Deadlines, type Timed } from "../../core/lease/Deadlines.ts"
import type { Waiter } from "../../services/Replicator.ts"

/** 1000 a second. */
const revokesPerLook = 500
/** Leases visited and revoked in one go, a few milliseconds. */
const visitsPerSlice = 4_096
const revokesPerSlice = 50
const retryMillis = 3_000
/** The node is deaf from here on; less is what a busy machine does. */
const outageMillis = 1_000

export interface ExpiryOptions {
  /** Undefined while time does not count here. */
  readonly deadlines: () => Deadlines | undefined
  readonly now: () => number
  /** A linearizable read of what is committed now. */
  readonly whenReadable: (waiter: Waiter) => void
  /** False: not now. */
  readonly revoke: (lease: Timed) => boolean
  /** Some leases that had run out have not. */
  readonly extended: () => void
}

export const expiry = ({ deadlines, extended, now, revoke, whenReadable }: ExpiryOptions): Effect.Effect<never> =>
  Effect.suspend(() => {
    /** Answers could be given at this moment. */
    let heardAt = now()
    /** Whose time that is about. */
    let counted: Deadlines | undefined

    const mayAnswer = Effect.callback<boolean>((resume) =>
      whenReadable({ done: () => resume(Effect.succeed(true)), failed: () => resume(Effect.succeed(false)) })
    )

    const look = Effect.gen(function* () {
      yield* Effect.sleep(bucketMillis)
      const current = deadlines()
      if (current !== counted) {
        // Another reign: every lease has begun anew with it.
        counted = current
        heardAt = now()
      }
      // Nothing runs out before an outage is over and known.
      if (current === undefined || !(yield* mayAnswer) || current !== deadlines()) return
      const at = now()
      const missed = at - heardAt - bucketMillis
      heardAt = at
      if (missed > outageMillis) {
        current.extend(missed, at)
        extended()
      }
      while (!current.look(now(), visitsPerSlice)) yield* Effect.yieldNow
      for (let left = revokesPerLook; left > 0 && current === deadlines(); left -= revokesPerSlice) {
        const run = current.take(Math.min(left, revokesPerSlice))
        for (const lease of run) if (!revoke(lease)) current.putBack(lease, now() + retryMillis)
        if (run.length < revokesPerSlice) break
        yield* Effect.yieldNow
      }
    })
    return Effect.forever(look)
  })
