/** N nodes over one bucket with mTLS: what a scenario starts, asks, kills, pauses, wipes and adds to. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parse } from "jsonc-parser"
import { MoveLeaderRequest } from "../../../src/core/wire/codec/maintenance.ts"
import { Bucket, bucketName } from "./bucket.ts"
import { Certificates } from "./certificates.ts"
import { Connection } from "./connection.ts"
import type { Network } from "./network.ts"
import { ClusterNode, type Facts, writeConfig } from "./node.ts"
import { hostPort, type Place, placeOn } from "./places.ts"
import { until } from "./process.ts"

const example = new URL("../../../examples/config.jsonc", import.meta.url).pathname

/** Parts of the cluster file that differ from examples/config.jsonc, section by section. */
export type SettingsChange = Readonly<Record<string, unknown>>

export interface ClusterOptions {
  readonly nodes?: number
  /** Default netsy; etcd shows that a scenario asks for what etcd does. */
  readonly program?: "netsy" | "etcd"
  readonly settings?: SettingsChange
  readonly host?: string
  readonly seed?: number
  /** etcds that know nothing of each other: a cluster that is none, for tests of the harness. */
  readonly split?: boolean
  /** Namespaces to put the nodes and the bucket into. */
  readonly network?: Network
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const merged = (base: Record<string, unknown>, change: SettingsChange): Record<string, unknown> => {
  const out = { ...base }
  for (const [key, value] of Object.entries(change)) {
    const before = out[key]
    out[key] = isObject(before) && isObject(value) ? merged(before, value) : value
  }
  return out
}

const healthyLimitMillis = 60_000

export class Cluster {
  readonly folder = mkdtempSync(join(tmpdir(), "netsy-cluster-"))
  readonly program: "netsy" | "etcd"
  readonly bucket = new Bucket(this.folder)
  readonly certificates: Certificates
  /** Those that belong to it, running or not. */
  readonly nodes: Array<ClusterNode> = []
  readonly #options: ClusterOptions
  readonly configFile = join(this.folder, "config.json")
  #numbers = 0

  constructor(options: ClusterOptions = {}) {
    this.#options = options
    this.program = options.program ?? (process.env["NETSY_TEST_TARGET"] === "etcd" ? "etcd" : "netsy")
    this.certificates = new Certificates(this.folder, options.network?.addresses)
  }

  /** All nodes at once, until they are healthy. */
  async start(): Promise<void> {
    const { host = "127.0.0.1", network, nodes = 3, seed = 1, settings = {} } = this.#options
    await this.certificates.make(nodes)
    const address = network === undefined ? hostPort(host, 0) : hostPort(network.bucketHost, 4566)
    await this.bucket.start(address, seed, network?.bucketNamespace)
    const base = parse(readFileSync(example, "utf8")) as Record<string, unknown>
    writeConfig(this.configFile, merged(merged(base, { storage: { bucket_name: bucketName } }), settings))
    for (let i = 0; i < nodes; i++) await this.#define()
    for (const node of this.nodes) node.start()
    if (this.#options.split !== true) return this.untilHealthy()
    const ready = async (): Promise<boolean> =>
      (await Promise.all(this.nodes.map((node) => node.ready()))).every(({ status }) => status === 200)
    await until("all nodes ready", healthyLimitMillis, ready, () => this.#said())
  }

  /** One more node, with a number that was never used; started, not waited for. */
  async add(): Promise<ClusterNode> {
    await this.certificates.make(this.#numbers + 1)
    const node = await this.#define()
    node.start()
    return node
  }

  /** It is no longer counted on; what it does from now on is its own affair. */
  forget(node: ClusterNode): void {
    this.nodes.splice(this.nodes.indexOf(node), 1)
    node.close()
  }

  async #define(): Promise<ClusterNode> {
    const { host = "127.0.0.1", network } = this.#options
    const k = ++this.#numbers
    const place: Place = network === undefined ? await placeOn(host) : await network.place(k)
    const node: ClusterNode = new ClusterNode({
      program: this.program,
      k,
      folder: this.folder,
      place,
      bucket: this.bucket,
      certificates: this.certificates,
      configFile: this.configFile,
      initialCluster: () =>
        this.nodes
          .filter((one) => this.#options.split !== true || one === node)
          .map((one) => `${one.id}=${one.peerUrl}`)
          .join(",")
    })
    this.nodes.push(node)
    return node
  }

  get running(): ReadonlyArray<ClusterNode> {
    return this.nodes.filter((node) => node.process.running && !node.process.paused)
  }

  async facts(): Promise<ReadonlyMap<ClusterNode, Facts>> {
    const all = await Promise.all(this.nodes.map(async (node) => [node, await node.facts()] as const))
    return new Map(all.filter((pair): pair is [ClusterNode, Facts] => pair[1] !== undefined))
  }

  /** The node that says of itself, in the highest term, that it is the leader. */
  async findPrimary(): Promise<ClusterNode | undefined> {
    let found: { readonly node: ClusterNode; readonly term: number } | undefined
    for (const [node, { leader, memberId, term }] of await this.facts())
      if (leader === memberId && leader !== 0n && term > (found?.term ?? 0)) found = { node, term }
    return found?.node
  }

  async primary(limitMillis = healthyLimitMillis): Promise<ClusterNode> {
    let found: ClusterNode | undefined
    await until(
      "a Primary",
      limitMillis,
      async () => (found = await this.findPrimary()) !== undefined,
      () => this.#said()
    )
    return found!
  }

  async findElector(): Promise<ClusterNode | undefined> {
    const holds = await Promise.all(this.nodes.map((node) => node.isElector()))
    return this.nodes[holds.indexOf(true)]
  }

  async elector(): Promise<ClusterNode> {
    let found: ClusterNode | undefined
    await until(
      "an Elector",
      healthyLimitMillis,
      async () => (found = await this.findElector()) !== undefined,
      () => this.#said()
    )
    return found!
  }

  /** Every running node is ready and all name the same leader in the same term. */
  async untilHealthy(limitMillis = healthyLimitMillis): Promise<void> {
    const healthy = async (): Promise<boolean> => {
      const { running } = this
      for (const node of this.nodes) {
        if (node.fell) throw new Error(`${node.id} ended by itself:\n${node.process.tail()}`)
      }
      const ready = await Promise.all(running.map((node) => node.ready()))
      if (!ready.every(({ status }) => status === 200)) return false
      const facts = [...(await this.facts()).values()]
      const [first] = facts
      return (
        first !== undefined &&
        facts.length === running.length &&
        facts.some(({ memberId }) => memberId === first.leader) &&
        facts.every(({ leader, term }) => leader === first.leader && term === first.term)
      )
    }
    await until("all nodes healthy under one leader", limitMillis, healthy, () => this.#said())
  }

  /** Mode quorum with so many voters, all of them as they run now, or mode store with 0: as the bucket says. */
  async untilVoters(count: number, limitMillis = healthyLimitMillis): Promise<void> {
    if (this.program === "etcd") return
    await until(
      count === 0 ? "mode store" : `${count} voters in mode quorum`,
      limitMillis,
      () => {
        const voters = this.bucket.arbiter()?.voters
        return (
          voters?.length === count &&
          voters.every((voter) => this.bucket.registration(voter.nodeId)?.incarnation === voter.incarnation)
        )
      },
      () => this.#said()
    )
  }

  /** Makes the node Primary, by etcd's MoveLeader. */
  async moveLeader(to: ClusterNode): Promise<void> {
    await until(
      `${to.id} is Primary`,
      healthyLimitMillis,
      async () => {
        const facts = await this.facts()
        const target = facts.get(to)
        const from = await this.findPrimary()
        if (target === undefined || from === undefined) return false
        if (from === to) return true
        const connection = new Connection(from.endpoint, this.certificates)
        const path = "/etcdserverpb.Maintenance/MoveLeader"
        await connection
          .unary(path, MoveLeaderRequest.encode({ targetId: target.memberId }), 10_000)
          .catch(() => undefined)
          .finally(() => connection.close())
        return false
      },
      () => this.#said()
    )
    await this.untilHealthy()
  }

  async #said(): Promise<string> {
    const lines = await Promise.all(
      this.nodes.map(async (node) => {
        const { running, paused } = node.process
        const state = !running ? "ended" : paused ? "paused" : (await node.ready()).text
        const facts = await node.facts()
        const leads =
          facts === undefined ? "" : `, member ${facts.memberId}, leader ${facts.leader} of term ${facts.term}`
        return `  ${node.id}: ${state}${leads}`
      })
    )
    return `\n${lines.join("\n")}\n  arbiter: ${JSON.stringify(this.bucket.arbiter())}\n  logs in ${this.folder}/logs`
  }

  /** The end of every log, for a scenario that failed. */
  tails(): string {
    return this.nodes.map((node) => `--- ${node.id}\n${node.process.tail()}`).join("\n")
  }

  /** `keep`: the logs and data stay for whoever has to find out. */
  async release(keep: boolean): Promise<void> {
    for (const node of this.nodes) node.close()
    await Promise.all(this.nodes.map((node) => node.kill9()))
    await this.bucket.stop()
    if (!keep) rmSync(this.folder, { recursive: true, force: true })
  }
}
