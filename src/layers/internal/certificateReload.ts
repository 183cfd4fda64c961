/**
 * Certificates that follow their files: read and checked at the start, which fails with what is wrong, and again every
 * now and then. Contents that pass replace the old ones for new connections; contents that do not (half of a pair has
 * been written, a link points nowhere for a moment) leave the old ones in use and are warned about once.
 */
import { Clock, Effect, type Scope } from "effect"
import { isoTime } from "../../core/isoTime.ts"
import { CertificateInvalid } from "../../services/Identity.ts"
import type { Log } from "../../services/Log.ts"
import type { Supervisor } from "../../services/Supervisor.ts"
import { reasonOf } from "./certificates.ts"

const expiryWarningMillis = 7 * 86_400_000

export interface Expiry {
  readonly path: string
  readonly atMillis: number
}

export interface ReloadOptions<Files, Loaded> {
  readonly log: Log["Service"]
  readonly supervisor: Supervisor["Service"]
  readonly intervalMillis: number
  readonly read: Effect.Effect<Files, CertificateInvalid>
  readonly isSame: (a: Files, b: Files) => boolean
  /** Throws `CertificateInvalid`, or whatever the crypto library throws at strange bytes. */
  readonly load: (files: Files, nowMillis: number) => Loaded
  /** What to blame for the latter. */
  readonly path: string
  /** The certificate that expires first; undefined: none does. */
  readonly expiry: (loaded: Loaded) => Expiry | undefined
}

export interface Reloaded<Loaded> {
  readonly current: () => Loaded
  /** Reads and checks the files without using them. */
  readonly verify: Effect.Effect<void, CertificateInvalid>
}

export const reloading = <Files, Loaded>(
  options: ReloadOptions<Files, Loaded>
): Effect.Effect<Reloaded<Loaded>, CertificateInvalid, Scope.Scope> =>
  Effect.gen(function* () {
    const { expiry, intervalMillis, isSame, log, path, supervisor } = options
    const clock = yield* Clock.Clock

    const loadOf = (files: Files) =>
      Effect.try({
        try: () => options.load(files, clock.currentTimeMillisUnsafe()),
        catch: (cause) =>
          cause instanceof CertificateInvalid ? cause : new CertificateInvalid({ path, reason: reasonOf(cause) })
      })
    const warnOfExpiry = (loaded: Loaded): void => {
      const first = expiry(loaded)
      if (first === undefined || first.atMillis - clock.currentTimeMillisUnsafe() > expiryWarningMillis) return
      log.warn("certificate_expires_soon", { path: first.path, expires: isoTime(first.atMillis) })
    }

    let files = yield* options.read
    let current = yield* loadOf(files)
    warnOfExpiry(current)
    let complaint = ""

    const reload = Effect.gen(function* () {
      const newest = yield* options.read
      if (isSame(newest, files)) {
        complaint = ""
        return
      }
      current = yield* loadOf(newest)
      files = newest
      complaint = ""
      const first = expiry(current)
      log.info("certificates_reloaded", { expires: first === undefined ? undefined : isoTime(first.atMillis) })
      warnOfExpiry(current)
    }).pipe(
      Effect.catchTag("CertificateInvalid", (invalid) =>
        Effect.sync(() => {
          if (invalid.message === complaint) return
          complaint = invalid.message
          log.warn("certificates_kept", { path: invalid.path, reason: invalid.reason })
        })
      )
    )
    yield* supervisor.spawn("certificate reload", Effect.forever(Effect.andThen(Effect.sleep(intervalMillis), reload)))
    return { current: () => current, verify: Effect.asVoid(Effect.flatMap(options.read, loadOf)) }
  })
