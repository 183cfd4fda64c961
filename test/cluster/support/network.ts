/**
 * A network namespace for each node and one for the bucket, joined by a bridge: packets between any two of them can be
 * dropped in one direction or both (nftables), and a relay before each node's ports between nodes adds latency and loss.
 * Needs root, `ip` and `nft`. The clients of the test live outside and reach every node at all times.
 */
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import type { Place, Ports } from "./places.ts"
import { TestProcess } from "./process.ts"
import type { Weather } from "./relayProcess.ts"

const relay = new URL("./relayProcess.ts", import.meta.url).pathname
const run = promisify(execFile)
const nodesMax = 9
const bucketNumber = 100
const gateway = 254

const ports: Ports = { client: 2378, peer: 2381, election: 8443, health: 8080 }
/** Where the relay listens, which is what the others are told. */
const relayed: Ports = { ...ports, peer: 12381, election: 18443 }

const exec = async (file: string, ...args: ReadonlyArray<string>): Promise<string> => {
  try {
    return (await run(file, [...args])).stdout
  } catch (error) {
    throw new Error(`${file} ${args.join(" ")}: ${String((error as { stderr?: string }).stderr ?? error).trim()}`)
  }
}

const exists = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** What runs that were killed have left behind. */
const sweep = async (): Promise<void> => {
  for (const line of (await exec("ip", "netns", "list")).split("\n")) {
    const [name, pid] = /^netsy-(\d+)-\d+/.exec(line) ?? []
    if (name !== undefined && !exists(Number(pid))) await exec("ip", "netns", "del", name)
  }
  for (const line of (await exec("ip", "-o", "link", "show", "type", "bridge")).split("\n")) {
    const [, name, pid] = /^\d+: (netsy(\d+)): /.exec(line) ?? []
    if (name !== undefined && !exists(Number(pid))) await exec("ip", "link", "del", name)
  }
}

/** A node's number, or the bucket. */
export type End = number | "bucket"

const numberOf = (end: End): number => (end === "bucket" ? bucketNumber : end)

export class Network {
  readonly #subnet = `198.18.${process.pid % 250}`
  readonly #bridge = `netsy${process.pid}`
  readonly #made = new Set<number>()
  readonly #relays = new Map<number, TestProcess>()
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
  }

  /** `folder` takes the relays' output. */
  static async open(folder: string): Promise<Network> {
    const network = new Network(folder)
    try {
      await sweep()
      await exec("ip", "link", "add", network.#bridge, "type", "bridge")
      await exec("ip", "addr", "add", `${network.#subnet}.${gateway}/24`, "dev", network.#bridge)
      await exec("ip", "link", "set", network.#bridge, "up")
      await network.#make(bucketNumber)
      return network
    } catch (error) {
      await network.close()
      throw new Error(`network namespaces are needed (root, packages iproute2 and nftables): ${String(error)}`)
    }
  }

  /** For certificates. */
  get addresses(): ReadonlyArray<string> {
    return Array.from({ length: nodesMax }, (_, i) => this.#address(i + 1))
  }

  get bucketHost(): string {
    return this.#address(bucketNumber)
  }

  get bucketNamespace(): string {
    return this.#namespace(bucketNumber)
  }

  /** Node k's namespace alone: the others are told its own ports. */
  async plain(k: number): Promise<Place & { readonly namespace: string }> {
    await this.#make(k)
    return { host: this.#address(k), ports, advertised: ports, namespace: this.#namespace(k) }
  }

  /** Node k's namespace with its relay. */
  async place(k: number): Promise<Place> {
    await this.#make(k)
    const host = this.#address(k)
    const process_ = new TestProcess(`relay-${k}`, join(this.#folder, `relay-${k}.log`))
    const pairs = (["peer", "election"] as const).map((name) => `${relayed[name]}:${ports[name]}`)
    const args = ["--disable-warning=ExperimentalWarning", relay, host, ...pairs]
    process_.start({ file: process.execPath, args, env: {} }, { namespace: this.#namespace(k), messages: true })
    await process_.received()
    this.#relays.set(k, process_)
    return { host, ports, advertised: relayed, namespace: this.#namespace(k) }
  }

  /** From now on what `from` sends does not reach `to`. */
  async cut(from: End, to: End): Promise<void> {
    const element = `{ ${this.#address(numberOf(from))} }`
    await this.#nft(numberOf(to), "add", "element", "inet", "cuts", "from", element)
  }

  /** Everybody reaches everybody. */
  async heal(): Promise<void> {
    for (const number of this.#made) await this.#nft(number, "flush", "set", "inet", "cuts", "from")
  }

  /** Of everything that goes through node k's relay, in both directions. */
  weather(k: number, weather: Weather): void {
    this.#relays.get(k)?.send(weather)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#relays.values()].map((one) => one.kill9()))
    for (const number of this.#made) {
      // A namespace goes when the kernel gets to it, and takes its end of the pair along then: the pair goes at once.
      await exec("ip", "link", "del", this.#outer(number)).catch(() => "")
      await exec("ip", "netns", "del", this.#namespace(number)).catch(() => "")
    }
    await exec("ip", "link", "del", this.#bridge).catch(() => "")
  }

  #address(number: number): string {
    return `${this.#subnet}.${number}`
  }

  #namespace(number: number): string {
    return `netsy-${process.pid}-${number}`
  }

  #outer(number: number): string {
    return `ny${process.pid}x${number}`.slice(0, 15)
  }

  #nft(number: number, ...args: ReadonlyArray<string>): Promise<string> {
    return exec("ip", "netns", "exec", this.#namespace(number), "nft", ...args)
  }

  async #make(number: number): Promise<void> {
    if (this.#made.has(number)) return
    const namespace = this.#namespace(number)
    const outer = this.#outer(number)
    await exec("ip", "netns", "add", namespace)
    this.#made.add(number)
    await exec("ip", "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", namespace)
    await exec("ip", "link", "set", outer, "master", this.#bridge, "up")
    await exec("ip", "-n", namespace, "addr", "add", `${this.#address(number)}/24`, "dev", "eth0")
    await exec("ip", "-n", namespace, "link", "set", "eth0", "up")
    await exec("ip", "-n", namespace, "link", "set", "lo", "up")
    await this.#nft(number, "add", "table", "inet", "cuts")
    await this.#nft(number, "add", "set", "inet", "cuts", "from", "{ type ipv4_addr; }")
    await this.#nft(number, "add", "chain", "inet", "cuts", "in", "{ type filter hook input priority 0; }")
    await this.#nft(number, "add", "rule", "inet", "cuts", "in", "ip", "saddr", "@from", "drop")
  }
}
