/** A real kube-apiserver, started by the script as a developer starts it, and what is asked of it over HTTPS. */
import { type ChildProcess, spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { Agent, request } from "node:https"
import type { IncomingMessage } from "node:http"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { until } from "../../cluster/support/process.ts"
import { root } from "./clone.ts"

export interface Kept {
  readonly kind?: string
  readonly code?: number
  readonly message?: string
  readonly metadata: {
    readonly name: string
    readonly uid?: string
    readonly resourceVersion: string
    readonly continue?: string
  }
  readonly data?: Readonly<Record<string, string>>
  readonly items?: ReadonlyArray<Kept>
}

export interface Answer {
  readonly status: number
  readonly body: Kept
  readonly text: string
}

export interface Change {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR"
  readonly object: Kept
}

export interface Watching {
  readonly changes: ReadonlyArray<Change>
  readonly close: () => void
}

export interface Options {
  readonly executable: string
  /** The folder of the certificates. */
  readonly certs: string
  readonly endpoints: ReadonlyArray<string>
  readonly port: number
  readonly flags?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
}

const readyMillis = 120_000

export class Apiserver {
  readonly #options: Options
  readonly #agent: Agent
  readonly #process: ChildProcess
  readonly #ended: Promise<number | null>
  #said = ""

  constructor(options: Options) {
    this.#options = options
    const read = (name: string): Buffer => readFileSync(join(options.certs, name))
    this.#agent = new Agent({
      ca: read("ca.crt"),
      cert: read("kubectl.crt"),
      key: read("kubectl.key"),
      keepAlive: true
    })
    this.#process = spawn(join(root, "scripts/kubernetes/kube-apiserver.sh"), [...(options.flags ?? [])], {
      env: {
        PATH: process.env["PATH"],
        KUBE_APISERVER: options.executable,
        KUBE_ETCD_SERVERS: options.endpoints.join(","),
        KUBE_PORT: String(options.port),
        NETSY_CERTS_DIR: options.certs,
        ...options.env
      },
      stdio: ["ignore", "pipe", "pipe"]
    })
    for (const stream of [this.#process.stdout, this.#process.stderr])
      stream?.on("data", (text: Buffer) => {
        this.#said = (this.#said + text.toString()).slice(-100_000)
      })
    this.#ended = new Promise((resolve) => this.#process.once("exit", resolve))
  }

  /** The end of what it has printed. */
  get said(): string {
    return this.#said
  }

  #open(method: string, path: string, body?: object, type = "application/json"): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const asked = request(
        {
          host: "127.0.0.1",
          port: this.#options.port,
          method,
          path,
          agent: this.#agent,
          headers: { "content-type": type }
        },
        resolve
      )
      asked.once("error", reject)
      asked.end(body === undefined ? undefined : JSON.stringify(body))
    })
  }

  async ask(method: string, path: string, body?: object, type?: string): Promise<Answer> {
    const answer = await this.#open(method, path, body, type)
    const pieces: Array<Buffer> = []
    for await (const piece of answer) pieces.push(piece as Buffer)
    const text = Buffer.concat(pieces).toString()
    return {
      status: answer.statusCode ?? 0,
      text,
      body: text.startsWith("{") ? (JSON.parse(text) as Kept) : ({} as Kept)
    }
  }

  async ready(): Promise<void> {
    const isReady = async (): Promise<boolean> => {
      if (this.#process.exitCode !== null) throw new Error(`kube-apiserver ended:\n${this.#said.slice(-5_000)}`)
      return this.ask("GET", "/readyz").then(
        ({ status }) => status === 200,
        () => false
      )
    }
    await until("kube-apiserver is ready", readyMillis, isReady, async () => this.#said.slice(-5_000))
  }

  async watch(path: string): Promise<Watching> {
    const answer = await this.#open("GET", path)
    const changes: Array<Change> = []
    createInterface({ input: answer }).on("line", (line) => changes.push(JSON.parse(line) as Change))
    answer.on("error", () => {})
    return { changes, close: () => answer.destroy() }
  }

  /** As Ctrl+C does. */
  async stop(): Promise<number | null> {
    this.#process.kill("SIGINT")
    const code = await this.#ended
    this.#agent.destroy()
    return code
  }

  async release(): Promise<void> {
    this.#agent.destroy()
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    this.#process.kill("SIGKILL")
    await this.#ended
  }
}
