/**
 * `Identity` from PEM files. The node starts only with files that pass every check. Afterwards they are read again
 * every two seconds: contents that pass replace the old ones for new connections, contents that do not (half of a pair
 * has been written, a link points nowhere for a moment) leave the old ones in use and are warned about once.
 */
import { Clock, Effect, Layer } from "effect"
import { assert } from "../core/assert.ts"
import { identityOf } from "../core/identity/identity.ts"
import { isoTime } from "../core/isoTime.ts"
import { CertificateInvalid, Identity } from "../services/Identity.ts"
import { Log } from "../services/Log.ts"
import { Settings } from "../services/Settings.ts"
import { Supervisor } from "../services/Supervisor.ts"
import { check, type Loaded, readFiles, sameFiles } from "./IdentityTls/load.ts"

const pollMillis = 2_000
const expiryWarningMillis = 7 * 86_400_000

export const layerPolling = (
  intervalMillis: number
): Layer.Layer<Identity, CertificateInvalid, Settings | Log | Supervisor> =>
  Layer.effect(
    Identity,
    Effect.gen(function* () {
      const settings = yield* Settings
      const log = yield* Log
      const supervisor = yield* Supervisor
      const clock = yield* Clock.Clock
      const { tls, clusterId } = settings
      assert(tls !== undefined, "IdentityTls needs the paths of the certificates")

      const load = readFiles(tls).pipe(
        Effect.flatMap((files) =>
          Effect.try({
            try: () => check(settings, tls, files, clock.currentTimeMillisUnsafe()),
            // Whatever else the crypto library throws at strange bytes, it is about these files.
            catch: (cause) =>
              cause instanceof CertificateInvalid
                ? cause
                : new CertificateInvalid({
                    path: tls.serverCert,
                    reason: cause instanceof Error ? cause.message : String(cause)
                  })
          })
        )
      )
      const warnOfExpiry = ({ expires }: Loaded): void => {
        if (expires.atMillis - clock.currentTimeMillisUnsafe() > expiryWarningMillis) return
        log.warn("certificate_expires_soon", { path: expires.path, expires: isoTime(expires.atMillis) })
      }

      let current = yield* load
      warnOfExpiry(current)
      let complaint = ""

      const reload = Effect.gen(function* () {
        const files = yield* readFiles(tls)
        if (sameFiles(files, current.files)) {
          complaint = ""
          return
        }
        current = yield* load
        complaint = ""
        log.info("certificates_reloaded", { expires: isoTime(current.expires.atMillis) })
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
      yield* supervisor.spawn(
        "certificate reload",
        Effect.forever(Effect.andThen(Effect.sleep(intervalMillis), reload))
      )

      return Identity.of({
        secure: true,
        serverContext: () => current.serverContext,
        serverOptions: () => current.serverOptions,
        clientOptions: () => current.clientOptions,
        asksCertificate: () => true,
        check: (certificate, wanted) => identityOf(certificate.subjectaltname, clusterId, wanted),
        verify: Effect.asVoid(load)
      })
    })
  )

export const layer: Layer.Layer<Identity, CertificateInvalid, Settings | Log | Supervisor> = layerPolling(pollMillis)
