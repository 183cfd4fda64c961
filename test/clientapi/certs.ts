/** Certificates for the transport tests, and an `Identity` over them. */
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls"
import { Effect, Layer, type Scope } from "effect"
import { Identity } from "../../src/services/Identity.ts"
import { authority, type Pair } from "../support/authority.ts"

export interface Certs {
  readonly ca: Buffer
  /** Role client. */
  readonly client: Pair
  /** Role peer. */
  readonly peer: Pair
  readonly server: () => Pair
  /** A new server certificate of the same CA. */
  readonly renewServer: () => void
}

/** Those of one node. */
export const certs: Effect.Effect<Certs, never, Scope.Scope> = Effect.map(authority(1), (from) => ({
  ca: from.ca,
  client: from.client,
  peer: from.peer("node-1"),
  server: () => from.server("node-1"),
  renewServer: () => from.renew("node-1")
}))

export const plain: Layer.Layer<Identity> = Layer.succeed(
  Identity,
  Identity.of({
    secure: false,
    serverContext: () => createSecureContext(),
    serverOptions: () => ({}),
    clientOptions: () => ({}),
    asksCertificate: () => false,
    check: () => ({ ok: false, reason: "plain text" }),
    verify: Effect.void
  })
)

/** Reads the server's files whenever `reload` says so. */
export const secure = (from: Certs): { readonly layer: Layer.Layer<Identity>; readonly reload: () => void } => {
  const options = (): SecureContextOptions => ({ ca: from.ca, ...from.server() })
  let current = options()
  let context: SecureContext = createSecureContext(current)
  return {
    reload: () => {
      current = options()
      context = createSecureContext(current)
    },
    layer: Layer.succeed(
      Identity,
      Identity.of({
        secure: true,
        serverContext: () => context,
        serverOptions: () => current,
        clientOptions: () => ({ ca: from.ca, ...from.peer }),
        asksCertificate: () => true,
        check: (certificate, wanted) => {
          const found = /URI:netsy:\/\/([^/]+)\/([^/]+)\/([^/,]+)/.exec(certificate.subjectaltname ?? "")
          if (found?.[2] !== wanted) return { ok: false, reason: `role ${found?.[2]}, wanted ${wanted}` }
          return { ok: true, role: wanted, name: found[3]! }
        },
        verify: Effect.void
      })
    )
  }
}
