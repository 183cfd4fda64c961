/** Where the machines of a test are: a network with the bucket in it, Nstance, and the machines it has started. */
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { type Arbiter, arbiterKey, decodeArbiter } from "../../../src/core/election/arbiter.ts"
import { Network } from "../../cluster/support/network.ts"
import { TestProcess } from "../../cluster/support/process.ts"
import { type CloudOptions, metadataHost, ports } from "./cloudOptions.ts"
import { Machine, type MachineOptions } from "./machine.ts"
import { deploy, type FileTemplate, type Fragments, type Instance, Nstance, readFragments } from "./nstance.ts"

const repository = new URL("../../..", import.meta.url).pathname.replace(/\/$/, "")
const program = new URL("./cloudProcess.ts", import.meta.url).pathname
const bucketName = "my-netsy-bucket"
const run = promisify(execFile)

/** `clone`: the "release" starts this clone's bin/netsy; `release`: it is the executable in dist/. */
export type Form = "clone" | "release"

const releaseFile = join(repository, "dist/release", `netsy-linux-${process.arch === "arm64" ? "arm64" : "amd64"}`)

/** Parts of the cluster file that differ from the guide's, because nobody waits for ten minutes. */
export type SettingsChange = Readonly<Record<string, Readonly<Record<string, unknown>>>>

const withChange = (
  fragments: Fragments,
  settings: SettingsChange,
  environment: Readonly<Record<string, string>>
): Fragments => {
  const etc = fragments.templates["etc"]!
  const config = etc.files["config.jsonc"] as Extract<FileTemplate, { readonly kind: "json" }>
  const env = etc.files["netsy.env"] as Extract<FileTemplate, { readonly kind: "env" }>
  const template: Record<string, unknown> = { ...config.template }
  for (const [section, change] of Object.entries(settings))
    template[section] = { ...(template[section] as object | undefined), ...change }
  const files = {
    ...etc.files,
    "config.jsonc": { ...config, template },
    "netsy.env": { ...env, template: { ...env.template, ...environment } }
  }
  return { ...fragments, templates: { etc: { ...etc, files } } }
}

/** What the node of a clone needs, where nothing else of this machine is. */
const cloneBinds = (): MachineOptions["binds"] => {
  const parts = [
    ["", repository],
    ...["node_modules", ".toolchain"].map((name) => [`/${name}`, join(repository, name)])
  ]
  const binds = parts
    .filter(([, source]) => existsSync(source!))
    .map(([name, source]) => ({ source: realpathSync(source!), target: `/opt/netsy${name}` }))
  // A worktree's links lead out of it: what they mean is mounted at the same place too.
  const outside = parts
    .slice(1)
    .map(([, source]) => source!)
    .filter((source) => existsSync(source) && realpathSync(source) !== source)
    .map((source) => ({ source: realpathSync(source), target: realpathSync(source) }))
  return outside.length > 0 ? [binds[0]!, ...outside] : [binds[0]!]
}

export class Cloud {
  readonly folder = mkdtempSync(join(tmpdir(), "netsy-vm-"))
  readonly machines: Array<Machine> = []
  readonly #instances = new Map<Machine, Instance>()
  nstance!: Nstance
  readonly #form: Form
  readonly #process = new TestProcess("cloud", join(this.folder, "cloud.log"))
  #network!: Network
  #count = 0
  #sum = ""

  constructor(form: Form) {
    this.#form = form
  }

  async open(settings: SettingsChange): Promise<void> {
    this.#network = await Network.open(this.folder)
    const { bucketHost, bucketNamespace } = this.#network
    await run("ip", ["-n", bucketNamespace, "addr", "add", `${metadataHost}/32`, "dev", "eth0"])
    const release = this.#release()
    this.#sum = createHash("sha512").update(readFileSync(release)).digest("hex")
    const options: CloudOptions = {
      host: bucketHost,
      folder: join(this.folder, "s3"),
      bucket: bucketName,
      policy: join(deploy, "iam/s3-policy-prefix.json"),
      release,
      sums: `${this.#sum}  netsy-linux-amd64\n`
    }
    const args = ["--disable-warning=ExperimentalWarning", program, JSON.stringify(options)]
    this.#process.start({ file: process.execPath, args, env: {} }, { namespace: bucketNamespace, messages: true })
    await this.#process.received()
    this.nstance = await Nstance.open(
      join(this.folder, "nstance"),
      withChange(readFragments(), settings, this.#storeVariables())
    )
    await this.nstance.client()
  }

  /** The bucket is not Amazon's. */
  #storeVariables(): Record<string, string> {
    return { AWS_ENDPOINT_URL: `http://${this.#network.bucketHost}:${ports.s3}`, AWS_S3_USE_PATH_STYLE: "true" }
  }

  get #downloads(): string {
    return `http://${this.#network.bucketHost}:${ports.downloads}/download/v0`
  }

  #release(): string {
    if (this.#form === "release") {
      if (!existsSync(releaseFile)) throw new Error(`${releaseFile} is missing: make release builds it`)
      return releaseFile
    }
    const file = join(this.folder, "netsy")
    writeFileSync(file, '#!/bin/sh\nexec /opt/netsy/bin/netsy "$@"\n', { mode: 0o755 })
    return file
  }

  /**
   * Nstance fills the group: so many new machines at once, each under a name that never was. `agent`: where its agent
   * delivers, if not where the script expects it.
   */
  async fill(agent?: string): Promise<ReadonlyArray<Machine>> {
    const count = this.nstance.fragments.groups["netsy"]!.size
    const script = readFileSync(join(deploy, "nstance/userdata/netsy.sh"), "utf8")
    const environment = {
      NETSY_DOWNLOAD_URL: `${this.#downloads}/netsy`,
      NETSY_DOWNLOAD_SHA512: this.#sum,
      ...(agent === undefined
        ? {}
        : {
            NSTANCE_RECV_DIR: `${agent}/recv`,
            NSTANCE_KEYS_DIR: `${agent}/keys`,
            NSTANCE_IDENTITY_DIR: `${agent}/identity`
          })
    }
    const name = (k: number): string =>
      `etc-01k${String(k).padStart(3, "0")}${process.pid.toString(36).padStart(16, "0")}`
    return this.#boot(count, name, { target: agent ?? "/opt/nstance-agent", script, environment }, (instance, folder) =>
      this.nstance.register("netsy", instance, folder)
    )
  }

  /** Machines that no Nstance sets up: somebody has put the files of deploy/systemd and certificates on them. */
  async byHand(count: number, commands: string): Promise<ReadonlyArray<Machine>> {
    const script = `#!/bin/sh\nset -eu\ncd /srv/netsy\n${commands}`
    const files = { target: "/srv/netsy", script, environment: { RELEASE: this.#downloads } }
    const variables = Object.entries(this.#storeVariables()).map(([key, value]) => `${key}=${value}\n`)
    const name = (k: number): string => `node-${k}`
    return this.#boot(count, name, files, async ({ Hostname, ID, IP4 }, folder) => {
      cpSync(join(deploy, "systemd"), folder, { recursive: true })
      const env = readFileSync(join(folder, "netsy.env"), "utf8").replaceAll("10.0.0.11", IP4)
      writeFileSync(
        join(folder, "netsy.env"),
        env.replace("NETSY_NODE_ID=node-1\n", `NETSY_NODE_ID=${ID}\n`) + variables.join("")
      )
      const certs = join(folder, "certs")
      mkdirSync(certs)
      cpSync(this.nstance.file("ca.crt"), join(certs, "ca.crt"))
      const uri = [`netsy://my-cluster/peer/${ID}`]
      await this.nstance.issue(certs, "server", { kind: "server", cn: ID, uri, dns: [Hostname], ip: [IP4] })
      await this.nstance.issue(certs, "peer", { kind: "client", cn: ID, uri })
    })
  }

  async #boot(
    count: number,
    nameOf: (k: number) => string,
    disk: Pick<MachineOptions, "script" | "environment"> & { readonly target: string },
    prepare: (instance: Instance, folder: string) => Promise<void>
  ): Promise<ReadonlyArray<Machine>> {
    const { environment, script, target } = disk
    const started: Array<Machine> = []
    for (let i = 0; i < count; i++) {
      const k = ++this.#count
      const { host, namespace } = await this.#network.plain(k)
      await run("ip", ["-n", namespace, "route", "add", metadataHost, "dev", "eth0"])
      const name = nameOf(k)
      const instance: Instance = { ID: name, Hostname: name, IP4: host, IP6: `fd00::${k}` }
      const folder = join(this.folder, name)
      const source = join(folder, "given")
      mkdirSync(source, { recursive: true })
      await prepare(instance, source)
      const binds = this.#form === "clone" ? cloneBinds() : []
      const machine = new Machine({ name, folder, namespace, files: { source, target }, script, environment, binds })
      this.#instances.set(machine, instance)
      this.machines.push(machine)
      started.push(machine)
    }
    for (const machine of started) machine.start()
    return started
  }

  /** Its agent makes new keys and gets new certificates, while it runs. */
  async renew(machine: Machine): Promise<void> {
    await this.nstance.register("netsy", this.#instances.get(machine)!, machine.path("/opt/nstance-agent"))
  }

  async terminate(machines: ReadonlyArray<Machine>): Promise<void> {
    await Promise.all(machines.map((machine) => machine.terminate()))
    for (const machine of machines) this.machines.splice(this.machines.indexOf(machine), 1)
  }

  endpoints(machines: ReadonlyArray<Machine> = this.machines): string {
    return machines.map((machine) => `${this.#instances.get(machine)!.IP4}:2378`).join(",")
  }

  /** `/readyz` of a machine's node, asked from outside. */
  async ready(machine: Machine): Promise<{ readonly status: number; readonly text: string }> {
    try {
      const url = `http://${this.#instances.get(machine)!.IP4}:8080/readyz`
      const answer = await fetch(url, { signal: AbortSignal.timeout(3_000) })
      return { status: answer.status, text: (await answer.text()).trim().replaceAll("\n", ", ") }
    } catch (error) {
      return { status: 0, text: String(error) }
    }
  }

  #object(key: string): Buffer | undefined {
    const file = join(this.folder, "s3", bucketName, "netsy", key)
    return existsSync(file) ? readFileSync(file) : undefined
  }

  arbiter(): Arbiter | undefined {
    const bytes = this.#object(arbiterKey)
    const arbiter = bytes === undefined ? "missing" : decodeArbiter(bytes)
    return typeof arbiter === "string" ? undefined : arbiter
  }

  /** First parts of the names of all objects in the bucket. */
  topFolders(): ReadonlyArray<string> {
    return readdirSync(join(this.folder, "s3", bucketName))
  }

  /** What the bucket refused, or did not find. */
  complaints(): string {
    return this.#process.log()
  }

  /** Debian's etcdctl with the client's certificate. */
  async etcdctl(...args: ReadonlyArray<string>): Promise<string> {
    const file = (name: string): string => this.nstance.file(name)
    const named = [`--endpoints=${this.endpoints()}`, `--cacert=${file("ca.crt")}`, `--cert=${file("client.crt")}`]
    const all = [...named, `--key=${file("client.key")}`, "--command-timeout=20s", ...args]
    return (await run("etcdctl", all, { env: { PATH: process.env["PATH"], ETCDCTL_API: "3" } })).stdout.trim()
  }

  async said(): Promise<string> {
    const parts = await Promise.all(
      this.machines.map(async (machine) => {
        const logs = machine.running ? `${await machine.log("userdata")}\n${await machine.log("netsy")}` : ""
        return `--- ${machine.name}: ${(await this.ready(machine)).text}\n${logs.split("\n").slice(-40).join("\n")}`
      })
    )
    return `\n${parts.join("\n")}\narbiter: ${JSON.stringify(this.arbiter())}`
  }

  async close(): Promise<void> {
    await this.terminate([...this.machines])
    await this.#process.kill9()
    await this.#network.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
