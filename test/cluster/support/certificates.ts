/** One CA with a client and N nodes, made by the development script; renewed while daemons use them. */
import { execFile } from "node:child_process"
import { readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"

const script = new URL("../../../scripts/dev/certs.sh", import.meta.url).pathname

export class Certificates {
  readonly #folder: string
  readonly #addresses: ReadonlyArray<string>
  #count = 0

  /** `addresses`: more IP addresses that every server certificate is valid for. */
  constructor(folder: string, addresses: ReadonlyArray<string> = []) {
    this.#folder = join(folder, "certs")
    this.#addresses = addresses
  }

  async make(count: number): Promise<void> {
    this.#count = Math.max(this.#count, count)
    await promisify(execFile)(script, [String(this.#count)], {
      env: {
        PATH: process.env["PATH"],
        NETSY_CERTS_DIR: this.#folder,
        NETSY_CERTS_ADDRESSES: this.#addresses.join(" ")
      }
    })
  }

  /** New server and peer certificates of the same CA for every node. */
  async renew(): Promise<void> {
    for (let k = 1; k <= this.#count; k++)
      for (const role of ["server", "peer"]) rmSync(join(this.#folder, `dev-node-${k}`, `${role}.crt`), { force: true })
    await this.make(this.#count)
  }

  file(name: string): string {
    return join(this.#folder, name)
  }

  client(): { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer } {
    const read = (name: string): Buffer => readFileSync(this.file(name))
    return { ca: read("ca.crt"), cert: read("client.crt"), key: read("client.key") }
  }

  /** For a daemon of node k. */
  env(k: number): Record<string, string> {
    const own = `dev-node-${k}`
    return {
      NETSY_TLS_CA_CERT: this.file("ca.crt"),
      NETSY_TLS_SERVER_CERT: this.file(`${own}/server.crt`),
      NETSY_TLS_SERVER_KEY: this.file(`${own}/server.key`),
      NETSY_TLS_CLIENT_CERT: this.file(`${own}/peer.crt`),
      NETSY_TLS_CLIENT_KEY: this.file(`${own}/peer.key`)
    }
  }
}
