/** `Identity` from the five PEM files of a node. It starts only with files that pass every check, and follows them. */
import { Effect, Layer } from "effect"
import { assert } from "../core/assert.ts"
import { identityOf } from "../core/identity/identity.ts"
import { type CertificateInvalid, Identity } from "../services/Identity.ts"
import { Log } from "../services/Log.ts"
import { Settings } from "../services/Settings.ts"
import { Supervisor } from "../services/Supervisor.ts"
import { check, readFiles, sameFiles } from "./IdentityTls/load.ts"
import { reloading } from "./internal/certificateReload.ts"

const pollMillis = 2_000

export const layerPolling = (
  intervalMillis: number
): Layer.Layer<Identity, CertificateInvalid, Settings | Log | Supervisor> =>
  Layer.effect(
    Identity,
    Effect.gen(function* () {
      const settings = yield* Settings
      const { tls, clusterId } = settings
      assert(tls !== undefined, "IdentityTls needs the paths of the certificates")
      const { current, verify } = yield* reloading({
        log: yield* Log,
        supervisor: yield* Supervisor,
        intervalMillis,
        read: readFiles(tls),
        isSame: sameFiles,
        load: (files, nowMillis) => check(settings, tls, files, nowMillis),
        path: tls.serverCert,
        expiry: ({ expires }) => expires
      })
      return Identity.of({
        secure: true,
        serverContext: () => current().serverContext,
        serverOptions: () => current().serverOptions,
        clientOptions: () => current().clientOptions,
        asksCertificate: () => true,
        check: (certificate, wanted) => identityOf(certificate.subjectaltname, clusterId, wanted),
        verify
      })
    })
  )

export const layer: Layer.Layer<Identity, CertificateInvalid, Settings | Log | Supervisor> = layerPolling(pollMillis)
