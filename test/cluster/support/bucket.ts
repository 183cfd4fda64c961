/** The bucket of a cluster under test: dev-s3 as a process that can be slowed, paused and made to fail. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { type Arbiter, arbiterKey, decodeArbiter } from "../../../src/core/election/arbiter.ts"
import { decodeRegistration, nodeKey, type Registration } from "../../../src/core/election/registry.ts"
import { indexOfKey } from "../../../src/core/datafile/keys.ts"
import type { Faults } from "../../../src/programs/dev-s3/faults.ts"
import { TestProcess } from "./process.ts"

const program = new URL("./bucketProcess.ts", import.meta.url).pathname
export const bucketName = "cluster-test"

export type BucketFaults = Partial<Omit<Faults, "intercept">>

export class Bucket {
  readonly #folder: string
  readonly #process: TestProcess
  url = ""

  constructor(folder: string) {
    this.#folder = join(folder, "s3")
    this.#process = new TestProcess("dev-s3", join(folder, "logs/dev-s3.log"))
  }

  async start(address: string, seed: number, namespace?: string): Promise<void> {
    const args = ["--disable-warning=ExperimentalWarning", program, address, this.#folder, bucketName, String(seed)]
    this.#process.start({ file: process.execPath, args, env: {} }, { namespace, messages: true })
    const { url } = (await this.#process.received()) as { readonly url: string }
    this.url = url
  }

  /** Until the next call; only what is named changes. */
  faults(faults: BucketFaults): void {
    this.#process.send(faults)
  }

  /** It answers nothing until `resume`; connections stay open. */
  pause(): void {
    this.#process.pause()
  }

  resume(): void {
    this.#process.resume()
  }

  async stop(): Promise<void> {
    if (this.#process.paused) this.#process.resume()
    await this.#process.kill9()
  }

  /** The bytes of an object as they are stored now. */
  object(key: string): Buffer | undefined {
    const file = join(this.#folder, bucketName, key)
    return existsSync(file) ? readFileSync(file) : undefined
  }

  arbiter(): Arbiter | undefined {
    const bytes = this.object(arbiterKey)
    const arbiter = bytes === undefined ? "missing" : decodeArbiter(bytes)
    return typeof arbiter === "string" ? undefined : arbiter
  }

  registration(nodeId: string): Registration | undefined {
    const bytes = this.object(nodeKey(nodeId))
    const found = bytes === undefined ? "missing" : decodeRegistration(bytes)
    return typeof found === "string" ? undefined : found
  }

  /** Index of the last entry in any chunk, on the path or not; 0: there is none. */
  highestChunk(): number {
    const folder = join(this.#folder, bucketName, "chunks")
    const files = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: "utf8" }) : []
    return Math.max(0, ...files.map((file) => indexOfKey(file) ?? 0))
  }

  env(): Record<string, string> {
    return {
      AWS_ENDPOINT_URL: this.url,
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: "test",
      AWS_SECRET_ACCESS_KEY: "test",
      AWS_S3_USE_PATH_STYLE: "true"
    }
  }
}
