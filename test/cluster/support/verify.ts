/** `netsy verify` on the cluster under test: what it finds wrong, with its table. */
import { execFile } from "node:child_process"
import type { Cluster } from "./cluster.ts"

const launcher = new URL("../../../src/programs/netsy.ts", import.meta.url).pathname
const limitMillis = 600_000

export interface Verified {
  readonly code: number
  readonly table: string
}

export const verify = (cluster: Cluster): Promise<Verified> => {
  const { bucket, certificates, nodes } = cluster
  const args = [
    "verify",
    "--config",
    cluster.configFile,
    "--endpoints",
    nodes
      .filter((node) => node.process.running)
      .map((node) => node.endpoint)
      .join(","),
    "--cacert",
    certificates.file("ca.crt"),
    "--cert",
    certificates.file("client.crt"),
    "--key",
    certificates.file("client.key")
  ]
  const options = { env: { PATH: process.env["PATH"], ...bucket.env() }, timeout: limitMillis, maxBuffer: 1 << 24 }
  return new Promise((resolve) =>
    execFile(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", launcher, ...args],
      options,
      (error, out, err) =>
        resolve({ code: error === null ? 0 : typeof error.code === "number" ? error.code : 1, table: `${out}${err}` })
    )
  )
}
