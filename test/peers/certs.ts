/** Identities over the certificates of one CA. */
import { createSecureContext } from "node:tls"
import { Effect, Layer } from "effect"
import { identityOf } from "../../src/core/identity/identity.ts"
import { Identity } from "../../src/services/Identity.ts"
import type { Authority, Pair } from "../support/authority.ts"

export interface Held {
  ca: Buffer
  server: Pair
  client: Pair
  /** Serial numbers of the certificates that were checked. */
  readonly seen: Array<string>
}

export const held = (from: Authority, nodeId: string): Held => ({
  ca: from.ca,
  server: from.server(nodeId),
  client: from.peer(nodeId),
  seen: []
})

/** Follows what `held` holds, as a node follows its files. */
export const identity = (holds: Held): Layer.Layer<Identity> => {
  let server = holds.server
  let context = createSecureContext({ ca: holds.ca, ...server })
  return Layer.succeed(
    Identity,
    Identity.of({
      secure: true,
      serverContext: () => {
        if (server !== holds.server) {
          server = holds.server
          context = createSecureContext({ ca: holds.ca, ...server })
        }
        return context
      },
      serverOptions: () => ({ ca: holds.ca, ...holds.server }),
      clientOptions: () => ({ ca: holds.ca, ...holds.client }),
      asksCertificate: () => true,
      check: (certificate, wanted) => {
        holds.seen.push(certificate.serialNumber)
        const found = identityOf(certificate.subjectaltname, "dev-cluster", wanted)
        // The script calls the nodes dev-node-1 and so on.
        return found.ok ? { ...found, name: found.name?.replace(/^dev-/, "") } : found
      },
      verify: Effect.void
    })
  )
}
