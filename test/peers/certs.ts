/** Certificates for `node-1` … `node-3` of one CA, and identities over them. */
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createSecureContext } from "node:tls"
import { fileURLToPath } from "node:url"
import { Effect, Layer, type Scope } from "effect"
import { identityOf } from "../../src/core/identity/identity.ts"
import { Identity } from "../../src/services/Identity.ts"

const script = fileURLToPath(new URL("../../scripts/dev/certs.sh", import.meta.url))

interface Pair {
  readonly cert: Buffer
  readonly key: Buffer
}

export interface Authority {
  readonly ca: Buffer
  readonly client: Pair
  readonly peer: (nodeId: string) => Pair
  readonly server: (nodeId: string) => Pair
  /** A new server certificate for the node. */
  readonly renew: (nodeId: string) => void
}

export const authority: Effect.Effect<Authority, never, Scope.Scope> = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "netsy-peers-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )
  const make = (): void => {
    execFileSync("sh", [script, "3"], { env: { ...process.env, NETSY_CERTS_DIR: folder }, stdio: "pipe" })
  }
  make()
  const pair = (name: string): Pair => ({
    cert: readFileSync(join(folder, `${name}.crt`)),
    key: readFileSync(join(folder, `${name}.key`))
  })
  return {
    ca: readFileSync(join(folder, "ca.crt")),
    client: pair("client"),
    peer: (nodeId) => pair(`dev-${nodeId}/peer`),
    server: (nodeId) => pair(`dev-${nodeId}/server`),
    renew: (nodeId) => {
      rmSync(join(folder, `dev-${nodeId}/server.crt`))
      make()
    }
  }
})

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
