/** Certificates for the transport tests, made by the development script, and an `Identity` over them. */
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls"
import { Effect, Layer, type Scope } from "effect"
import { Identity } from "../../src/services/Identity.ts"

const script = fileURLToPath(new URL("../../scripts/dev/certs.sh", import.meta.url))

export interface Pair {
  readonly cert: Buffer
  readonly key: Buffer
}

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

const make = (folder: string): void => {
  execFileSync("sh", [script, "1"], { env: { ...process.env, NETSY_CERTS_DIR: folder }, stdio: "pipe" })
}

/** One CA with its certificates, in a folder that goes with the scope. */
export const certs: Effect.Effect<Certs, never, Scope.Scope> = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "netsy-certs-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )
  make(folder)
  const pair = (name: string): Pair => ({
    cert: readFileSync(join(folder, `${name}.crt`)),
    key: readFileSync(join(folder, `${name}.key`))
  })
  return {
    ca: readFileSync(join(folder, "ca.crt")),
    client: pair("client"),
    peer: pair("dev-node-1/peer"),
    server: () => pair("dev-node-1/server"),
    renewServer: () => {
      rmSync(join(folder, "dev-node-1/server.crt"))
      make(folder)
    }
  }
})

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
