/**
 * The pods of a rendered chart as processes of this machine. As the chart says: variables, cluster file, certificates, host names
 * and ports. Changed: paths lie below a folder for each pod, `:2378` becomes the port on an address of the pod's own in
 * 127.0.0.0/8, and names resolve by podNames.ts instead of the cluster's DNS.
 */
import { execFile } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { request } from "node:https"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { promisify } from "node:util"
import type { ICertificate } from "@kubernetes-models/cert-manager/cert-manager.io/v1/Certificate"
import type { IStatefulSet } from "kubernetes-models/apps/v1/StatefulSet"
import type { IConfigMap } from "kubernetes-models/v1/ConfigMap"
import { Bucket, bucketName } from "../cluster/support/bucket.ts"
import { TestProcess, until } from "../cluster/support/process.ts"
import { TestIssuer } from "./certificates.ts"
import { type ChartRenderer, only, type Rendered, type Values } from "./chart.ts"
import { certificatesOf, environmentOf } from "./pod.ts"

const netsy = new URL("../../bin/netsy", import.meta.url).pathname
const names = new URL("./podNames.ts", import.meta.url).href

const base64 = (text: string): string => Buffer.from(text).toString("base64")

export class Pod {
  readonly name: string
  readonly address: string
  /** What `/` is in the container. */
  readonly root: string
  readonly process: TestProcess
  readonly #env: Readonly<Record<string, string>>

  constructor(name: string, address: string, folder: string, env: Readonly<Record<string, string>>) {
    this.name = name
    this.address = address
    this.root = join(folder, name)
    this.process = new TestProcess(name, join(folder, `logs/${name}.log`))
    this.#env = Object.fromEntries(
      Object.entries(env).map(([key, value]) => {
        if (value.startsWith("/")) return [key, join(this.root, value)]
        return [key, key.startsWith("NETSY_BIND_") ? `${address}${value}` : value]
      })
    )
  }

  start(): void {
    this.process.start({ file: netsy, args: [], env: this.#env })
  }

  /** `kubectl exec POD -- /usr/bin/netsy …`: what it prints. */
  async exec(...args: ReadonlyArray<string>): Promise<string> {
    const env = { PATH: process.env["PATH"], ...this.#env }
    return (await promisify(execFile)(netsy, [...args], { env })).stdout
  }

  /** The health port's answer. */
  async probe(path: string): Promise<{ readonly status: number; readonly text: string }> {
    try {
      const answer = await fetch(`http://${this.address}:8080${path}`, { signal: AbortSignal.timeout(5_000) })
      return { status: answer.status, text: await answer.text() }
    } catch (error) {
      return { status: 0, text: String(error) }
    }
  }

  /** What becomes of an emptyDir when the pod is deleted. */
  loseEmptyDirs(): void {
    rmSync(join(this.root, "var/lib/netsy"), { recursive: true, force: true })
    mkdirSync(join(this.root, "var/lib/netsy"))
  }

  /** Every file below its root, without a leading slash. */
  files(): ReadonlyArray<string> {
    return readdirSync(this.root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(this.root.length + 1))
  }
}

interface ClientFiles {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

export class PodsOfRelease {
  readonly folder = mkdtempSync(join(tmpdir(), "netsy-pods-"))
  readonly bucket = new Bucket(this.folder)
  rendered!: Rendered
  set!: IStatefulSet
  pods: ReadonlyArray<Pod> = []
  #client!: ClientFiles

  /** Everything but the pods themselves, which nobody has started yet. */
  static async lay(chart: ChartRenderer, values: Values = {}): Promise<PodsOfRelease> {
    const release = new PodsOfRelease()
    try {
      await release.#lay(chart, values)
    } catch (error) {
      await release.release()
      throw error
    }
    return release
  }

  async #lay(chart: ChartRenderer, values: Values): Promise<void> {
    await this.bucket.start("127.0.0.1:0", 1)
    const bucketEnv = Object.entries({ ...this.bucket.env(), NETSY_STORAGE_BUCKET_NAME: bucketName })
    const given = (values["extraEnv"] ?? []) as ReadonlyArray<unknown>
    const extraEnv = [...given, ...bucketEnv.map(([name, value]) => ({ name, value }))]
    const clients = [{ name: "kube-apiserver" }]
    this.rendered = await chart.render({ ...values, clusterID: "my-cluster", clients, extraEnv })
    this.set = only<IStatefulSet>(this.rendered, "StatefulSet")
    const config = only<IConfigMap>(this.rendered, "ConfigMap").data!["config.jsonc"]!
    const issuer = new TestIssuer(join(this.folder, "issuer"))
    await issuer.makeCa(only<ICertificate>(this.rendered, "Certificate", "netsy-ca"))
    this.#client = await issuer.clientFiles(
      only<ICertificate>(this.rendered, "Certificate", "netsy-client-kube-apiserver")
    )
    // Addresses of their own, so that ports may be those of the chart.
    const net = `127.${20 + Math.floor(Math.random() * 200)}.${Math.floor(Math.random() * 250)}`
    const podNames = Array.from({ length: this.set.spec!.replicas! }, (_, i) => `netsy-${i}`)
    const addresses = podNames.map((_, i) => `${net}.${i + 1}`)
    const hosts = podNames.map((pod, i) => {
      const advertised = environmentOf(this.set, pod)["NETSY_ADVERTISE_PEER"]!
      return [advertised.slice(0, advertised.lastIndexOf(":")), addresses[i]!] as const
    })
    this.pods = podNames.map((name, i) => {
      const env = {
        ...environmentOf(this.set, name),
        NODE_OPTIONS: `--import=${names}`,
        POD_ADDRESSES: JSON.stringify(Object.fromEntries(hosts))
      }
      return new Pod(name, addresses[i]!, this.folder, env)
    })
    for (const pod of this.pods) {
      const configFile = join(pod.root, environmentOf(this.set, pod.name)["NETSY_CONFIG"]!)
      mkdirSync(dirname(configFile), { recursive: true })
      writeFileSync(configFile, config)
      mkdirSync(join(pod.root, "var/lib/netsy"), { recursive: true })
    }
    const volumes = this.pods.flatMap((pod) => certificatesOf(this.set, pod.name).map((wanted) => ({ pod, wanted })))
    await Promise.all(volumes.map(({ pod, wanted }) => issuer.fillVolume(pod.root, wanted)))
  }

  async untilReady(pods = this.pods, limitMillis = 60_000): Promise<void> {
    const said = async (): Promise<string> => {
      const lines = this.pods.map(
        async (pod) => `${pod.name}: ${(await pod.probe("/readyz")).text}\n${pod.process.tail()}`
      )
      return `\n${(await Promise.all(lines)).join("\n")}`
    }
    const ready = async (): Promise<boolean> => {
      const answers = await Promise.all(pods.map((pod) => pod.probe("/readyz")))
      return answers.every(({ status }) => status === 200)
    }
    await until("the pods ready", limitMillis, ready, said)
  }

  /** A JSON call as a client of the cluster makes it: to the advertised address, whose name the certificate must have. */
  call(pod: Pod, path: string, body: object): Promise<unknown> {
    const advertised = environmentOf(this.set, pod.name)["NETSY_ADVERTISE_CLIENT"]!
    const colon = advertised.lastIndexOf(":")
    const [name, port] = [advertised.slice(0, colon), advertised.slice(colon + 1)]
    const { ca, cert, key } = this.#client
    return new Promise((resolve, reject) => {
      const call = request({
        host: pod.address,
        port,
        servername: name,
        path,
        method: "POST",
        ca: readFileSync(ca),
        cert: readFileSync(cert),
        key: readFileSync(key),
        agent: false,
        timeout: 10_000
      })
      call.once("response", (answer) => {
        let text = ""
        answer.on("data", (bytes: Buffer) => {
          text += bytes.toString()
        })
        answer.once("end", () => {
          if (answer.statusCode === 200) resolve(JSON.parse(text))
          else reject(new Error(`${answer.statusCode} ${text}`))
        })
      })
      call.once("timeout", () => call.destroy(new Error("no answer in time")))
      call.once("error", reject)
      call.end(JSON.stringify(body))
    })
  }

  async put(pod: Pod, key: string, value: string): Promise<void> {
    await this.call(pod, "/v3/kv/put", { key: base64(key), value: base64(value) })
  }

  /** Undefined: there is no such key. */
  async get(pod: Pod, key: string): Promise<string | undefined> {
    const answer = (await this.call(pod, "/v3/kv/range", { key: base64(key) })) as {
      readonly kvs?: ReadonlyArray<{ readonly value: string }>
    }
    const value = answer.kvs?.[0]?.value
    return value === undefined ? undefined : Buffer.from(value, "base64").toString()
  }

  async release(): Promise<void> {
    await Promise.all(this.pods.map((pod) => pod.process.kill9()))
    await this.bucket.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
