/** One CA with certificates for a client and for `node-1`, `node-2`, …, made by the development script. */
import { execFileSync } from "node:child_process"
import { readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect, type Scope } from "effect"
import { temporaryFolder } from "./temporaryFolder.ts"

const script = fileURLToPath(new URL("../../scripts/dev/certs.sh", import.meta.url))

export interface Pair {
  readonly cert: Buffer
  readonly key: Buffer
}

export interface Authority {
  readonly ca: Buffer
  /** Role client. */
  readonly client: Pair
  /** Role peer. */
  readonly peer: (nodeId: string) => Pair
  readonly server: (nodeId: string) => Pair
  /** A new server certificate for the node. */
  readonly renew: (nodeId: string) => void
}

export const authority = (nodes: number): Effect.Effect<Authority, never, Scope.Scope> =>
  Effect.map(temporaryFolder, (folder) => {
    const make = (): void => {
      execFileSync("sh", [script, String(nodes)], { env: { ...process.env, NETSY_CERTS_DIR: folder }, stdio: "pipe" })
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
