/** One node of the cluster under test: a `netsy` daemon over dev-s3, or one of three real etcds as its stand-in. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { request } from "node:https"
import { join } from "node:path"
import { StatusRequest, StatusResponse } from "../../../src/core/wire/codec/maintenance.ts"
import type { Bucket } from "./bucket.ts"
import type { Certificates } from "./certificates.ts"
import { Connection } from "./connection.ts"
import { hostPort, type Place } from "./places.ts"
import { type Command, TestProcess } from "./process.ts"

const launcher = new URL("../../../src/programs/netsy.ts", import.meta.url).pathname
const etcdProgram = "/usr/bin/etcd"
const factsTimeoutMillis = 2_000

/** What a node says about itself and the cluster through etcd's Maintenance.Status. */
export interface Facts {
  readonly memberId: bigint
  /** 0: it knows none. */
  readonly leader: bigint
  readonly term: number
  readonly revision: number
  readonly raftIndex: number
}

export interface NodeOptions {
  readonly program: "netsy" | "etcd"
  readonly k: number
  readonly folder: string
  readonly place: Place
  readonly bucket: Bucket
  readonly certificates: Certificates
  /** The cluster file. */
  readonly configFile: string
  /** etcd's initial cluster. */
  readonly initialCluster: () => string
}

export class ClusterNode {
  readonly k: number
  readonly id: string
  readonly place: Place
  readonly process: TestProcess
  readonly #options: NodeOptions
  /** Started, and nobody has ended it on purpose. */
  #meant = false
  #connection: Connection | undefined

  constructor(options: NodeOptions) {
    this.#options = options
    this.k = options.k
    this.id = `dev-node-${options.k}`
    this.place = options.place
    this.process = new TestProcess(this.id, join(options.folder, `logs/node-${options.k}.log`))
  }

  /** `host:port` of the client API. */
  get endpoint(): string {
    return hostPort(this.place.host, this.place.advertised.client)
  }

  /** etcd's name of this peer. */
  get peerUrl(): string {
    return `http://${hostPort(this.place.host, this.place.ports.peer)}`
  }

  get #dataDir(): string {
    return join(this.#options.folder, `data-${this.k}`)
  }

  /** Does not wait: nodes may need each other to become ready. */
  start(): void {
    mkdirSync(this.#options.folder, { recursive: true })
    const command = this.#options.program === "etcd" ? this.#etcd() : this.#netsy()
    this.process.start(command, { namespace: this.place.namespace })
    this.#meant = true
  }

  /** It ended although nobody wanted that. */
  get fell(): boolean {
    return this.#meant && !this.process.running
  }

  kill9(): Promise<void> {
    this.#meant = false
    return this.process.kill9()
  }

  /** SIGTERM; the exit code. */
  stop(): Promise<number | null> {
    this.#meant = false
    return this.process.stop()
  }

  /** Removes what it has on its disk; it must not run. */
  wipe(): void {
    if (this.process.running) throw new Error(`${this.id} runs`)
    rmSync(this.#dataDir, { recursive: true, force: true })
  }

  async facts(): Promise<Facts | undefined> {
    if (!this.process.running || this.process.paused) return undefined
    this.#connection ??= new Connection(this.endpoint, this.#options.certificates)
    try {
      const path = "/etcdserverpb.Maintenance/Status"
      const status = StatusResponse.decode(
        await this.#connection.unary(path, StatusRequest.encode({}), factsTimeoutMillis)
      )
      return {
        memberId: status.header!.memberId,
        leader: status.leader,
        term: Number(status.raftTerm),
        revision: status.header!.revision,
        raftIndex: Number(status.raftIndex)
      }
    } catch {
      return undefined
    }
  }

  /** The health port's answer to `/readyz` (etcd's `/health`); status 0: none. */
  async ready(): Promise<{ readonly status: number; readonly text: string }> {
    const path = this.#options.program === "etcd" ? "/health" : "/readyz"
    try {
      const url = `http://${hostPort(this.place.host, this.place.ports.health)}${path}`
      const answer = await fetch(url, { signal: AbortSignal.timeout(factsTimeoutMillis) })
      return { status: answer.status, text: (await answer.text()).trim().replaceAll(/\s*\n\s*/g, ", ") }
    } catch (error) {
      return { status: 0, text: String(error) }
    }
  }

  /** Whether its election port says that it holds the Elector's lock. */
  isElector(): Promise<boolean> {
    if (this.#options.program === "etcd" || !this.process.running || this.process.paused) return Promise.resolve(false)
    return new Promise((resolve) => {
      const call = request(
        {
          host: this.place.host,
          port: this.place.ports.election,
          path: "/health/leadership",
          ca: this.#options.certificates.client().ca,
          timeout: factsTimeoutMillis,
          agent: false
        },
        (answer) => {
          answer.resume()
          resolve(answer.statusCode === 200)
        }
      )
      call.on("timeout", () => call.destroy())
      call.on("error", () => resolve(false))
      call.end()
    })
  }

  close(): void {
    this.#connection?.close()
    this.#connection = undefined
  }

  #netsy(): Command {
    const { bucket, certificates, configFile } = this.#options
    const { advertised, host, ports } = this.place
    const addresses = (["client", "peer", "election", "health"] as const).flatMap((name) => [
      [`NETSY_BIND_${name.toUpperCase()}`, hostPort(host, ports[name])],
      ...(name === "health" ? [] : [[`NETSY_ADVERTISE_${name.toUpperCase()}`, hostPort(host, advertised[name])]])
    ])
    return {
      file: process.execPath,
      args: ["--disable-warning=ExperimentalWarning", launcher],
      env: {
        NETSY_CONFIG: configFile,
        NETSY_NODE_ID: this.id,
        NETSY_DATA_DIR: this.#dataDir,
        ...Object.fromEntries(addresses),
        ...certificates.env(this.k),
        ...bucket.env(),
        ...(process.env["NETSY_CLUSTER_DEBUG"] === undefined ? {} : { NETSY_DEBUG: "true" })
      }
    }
  }

  #etcd(): Command {
    const { certificates, initialCluster } = this.#options
    const { host, ports } = this.place
    const client = `https://${hostPort(host, ports.client)}`
    return {
      file: etcdProgram,
      args: [
        `--data-dir=${this.#dataDir}`,
        `--name=${this.id}`,
        `--listen-client-urls=${client}`,
        `--advertise-client-urls=${client}`,
        `--listen-peer-urls=${this.peerUrl}`,
        `--initial-advertise-peer-urls=${this.peerUrl}`,
        `--initial-cluster=${initialCluster()}`,
        `--listen-metrics-urls=http://${hostPort(host, ports.health)}`,
        `--cert-file=${certificates.file(`${this.id}/server.crt`)}`,
        `--key-file=${certificates.file(`${this.id}/server.key`)}`,
        `--trusted-ca-file=${certificates.file("ca.crt")}`,
        "--client-cert-auth"
      ],
      env: {}
    }
  }
}

/** Every node's cluster file is the same. */
export const writeConfig = (file: string, settings: object): void => writeFileSync(file, JSON.stringify(settings))
