/**
 * A server process for tests: `bin/netsy` over a directory store on free ports, in plain text or with certificates.
 * `NETSY_TEST_TARGET=etcd` starts the machine's real etcd instead, which shows that a test asks for what etcd does.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type Server } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { promisify } from "node:util"

const root = new URL("../..", import.meta.url).pathname
const readyTimeoutMillis = 30_000
const stopTimeoutMillis = 15_000

export const isEtcd = process.env["NETSY_TEST_TARGET"] === "etcd"

export interface Certificates {
  readonly ca: string
  /** Of an external client. */
  readonly cert: string
  readonly key: string
}

export interface Ports {
  readonly client: number
  readonly peer: number
  readonly election: number
  readonly health: number
}

export interface Daemon {
  readonly ports: Ports
  /** `host:port` of the client API. */
  readonly endpoint: string
  /** Undefined in plain text. */
  readonly certificates: Certificates | undefined
  /** Directory of the store and of the local database. */
  readonly directory: string
  /** Everything the process has printed, over all its starts. */
  readonly logs: () => string
  readonly pid: () => number
  readonly isRunning: () => boolean
  /** Resident memory in bytes. */
  readonly memoryBytes: () => number
  readonly start: () => Promise<void>
  /** SIGTERM; waits for the end and returns the exit code. */
  readonly stop: () => Promise<number | null>
  readonly kill9: () => Promise<void>
  /** Ends the process and removes its directory. */
  readonly release: () => Promise<void>
}

export interface DaemonOptions {
  /** What is started, whatever the environment says. */
  readonly program?: "netsy" | "etcd"
  /** Another netsy than this clone's. */
  readonly executable?: string
  readonly tls?: boolean
  /** Another store than the directory; not for TLS. */
  readonly storage?: string
  readonly env?: Readonly<Record<string, string>>
  /** More arguments for the program. */
  readonly args?: ReadonlyArray<string>
}

const listening = (): Promise<Server> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => resolve(server))
  })

const portOf = (server: Server): number => (server.address() as { readonly port: number }).port

/** Free at this moment: all are held open together, so they differ. */
export const freePorts = async (count: number): Promise<ReadonlyArray<number>> => {
  const servers = await Promise.all(Array.from({ length: count }, listening))
  const ports = servers.map(portOf)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

const makeCertificates = async (directory: string): Promise<void> => {
  await promisify(execFile)(join(root, "scripts/dev/certs.sh"), [], {
    env: { ...process.env, NETSY_CERTS_DIR: directory }
  })
}

interface Command {
  readonly file: string
  readonly args: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string>>
  readonly readyUrl: string
}

const netsyCommand = (directory: string, ports: Ports, options: DaemonOptions): Command => {
  const readyUrl = `http://127.0.0.1:${ports.health}/readyz`
  const env: Record<string, string> = {
    NETSY_BIND_CLIENT: `127.0.0.1:${ports.client}`,
    NETSY_BIND_PEER: `127.0.0.1:${ports.peer}`,
    NETSY_BIND_ELECTION: `127.0.0.1:${ports.election}`,
    NETSY_BIND_HEALTH: `127.0.0.1:${ports.health}`,
    NETSY_DATA_DIR: join(directory, "data"),
    ...options.env
  }
  // make test-release runs some tests against the release executable.
  const file = options.executable ?? process.env["NETSY_TEST_PROGRAM"] ?? join(root, "bin/netsy")
  if (options.tls !== true) {
    const storage = options.storage ?? `dir:${join(directory, "bucket")}`
    const args = ["--storage", storage, "--insecure", ...(options.args ?? [])]
    return { file, args, env, readyUrl }
  }
  const certs = join(directory, "certs")
  const config = join(directory, "config.jsonc")
  const storage = { provider: "directory", path: join(directory, "bucket") }
  const settings = {
    cluster_id: "dev-cluster",
    storage,
    heartbeat_interval: "1s",
    elector: { primary_prior_timeout: "5s" },
    replication: { quorum: 0 }
  }
  writeFileSync(config, JSON.stringify(settings))
  return {
    file,
    args: ["--config", config, ...(options.args ?? [])],
    env: {
      NETSY_NODE_ID: "dev-node-1",
      NETSY_TLS_CA_CERT: join(certs, "ca.crt"),
      NETSY_TLS_SERVER_CERT: join(certs, "dev-node-1/server.crt"),
      NETSY_TLS_SERVER_KEY: join(certs, "dev-node-1/server.key"),
      NETSY_TLS_CLIENT_CERT: join(certs, "dev-node-1/peer.crt"),
      NETSY_TLS_CLIENT_KEY: join(certs, "dev-node-1/peer.key"),
      NETSY_ADVERTISE_CLIENT: `127.0.0.1:${ports.client}`,
      NETSY_ADVERTISE_PEER: `127.0.0.1:${ports.peer}`,
      NETSY_ADVERTISE_ELECTION: `127.0.0.1:${ports.election}`,
      ...env
    },
    readyUrl
  }
}

const etcdCommand = (directory: string, ports: Ports, options: DaemonOptions): Command => {
  const scheme = options.tls === true ? "https" : "http"
  const certs = join(directory, "certs")
  const peer = `http://127.0.0.1:${ports.peer}`
  const tls = [
    `--cert-file=${certs}/dev-node-1/server.crt`,
    `--key-file=${certs}/dev-node-1/server.key`,
    `--trusted-ca-file=${certs}/ca.crt`,
    "--client-cert-auth"
  ]
  return {
    file: "/usr/bin/etcd",
    args: [
      `--data-dir=${join(directory, "data")}`,
      "--name=node-1",
      `--listen-client-urls=${scheme}://127.0.0.1:${ports.client}`,
      `--advertise-client-urls=${scheme}://127.0.0.1:${ports.client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=node-1=${peer}`,
      `--listen-metrics-urls=http://127.0.0.1:${ports.health}`,
      ...(options.tls === true ? tls : []),
      ...(options.args ?? [])
    ],
    env: {},
    readyUrl: `http://127.0.0.1:${ports.health}/health`
  }
}

const isReady = async (url: string): Promise<boolean> => {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(2000) })
    await answer.arrayBuffer()
    return answer.ok
  } catch {
    return false
  }
}

export const startDaemon = async (options: DaemonOptions = {}): Promise<Daemon> => {
  const directory = mkdtempSync(join(tmpdir(), "netsy-test-"))
  const [client, peer, election, health] = await freePorts(4)
  const ports: Ports = { client: client!, peer: peer!, election: election!, health: health! }
  const certs = join(directory, "certs")
  if (options.tls === true) await makeCertificates(certs)
  const real = options.program === undefined ? isEtcd : options.program === "etcd"
  const command = (real ? etcdCommand : netsyCommand)(directory, ports, options)
  let printed = ""
  let child: ChildProcess | undefined
  let ended: Promise<number | null> = Promise.resolve(0)

  const killAtExit = (): void => {
    child?.kill("SIGKILL")
  }
  process.on("exit", killAtExit)

  const isRunning = (): boolean => child !== undefined && child.exitCode === null && child.signalCode === null

  const start = async (): Promise<void> => {
    if (isRunning()) throw new Error("the daemon is running already")
    // Nothing of the developer's own environment decides what is tested.
    const inherited = Object.entries(process.env).filter(([name]) => !/^(NETSY|ETCD)/.test(name))
    const started = spawn(command.file, command.args, {
      env: { ...Object.fromEntries(inherited), ...command.env },
      stdio: ["ignore", "pipe", "pipe"]
    })
    child = started
    ended = new Promise((resolve) => {
      started.once("exit", (code) => resolve(code))
      started.once("error", (error) => {
        printed += `${error}\n`
        resolve(null)
      })
    })
    const collect = (chunk: Buffer): void => {
      printed += chunk.toString()
    }
    started.stdout!.on("data", collect)
    started.stderr!.on("data", collect)
    for (const deadline = Date.now() + readyTimeoutMillis; !(await isReady(command.readyUrl)); await sleep(50)) {
      if (!isRunning()) throw new Error(`the daemon ended before it was ready:\n${printed}`)
      if (Date.now() > deadline) throw new Error(`the daemon is not ready after ${readyTimeoutMillis} ms:\n${printed}`)
    }
  }

  const stop = async (): Promise<number | null> => {
    if (!isRunning()) return ended
    child!.kill("SIGTERM")
    const late = setTimeout(() => child?.kill("SIGKILL"), stopTimeoutMillis)
    const code = await ended
    clearTimeout(late)
    return code
  }

  const kill9 = async (): Promise<void> => {
    child?.kill("SIGKILL")
    await ended
  }

  const release = async (): Promise<void> => {
    await stop()
    process.off("exit", killAtExit)
    rmSync(directory, { recursive: true, force: true })
  }

  try {
    await start()
  } catch (error) {
    await release()
    throw error
  }
  return {
    ports,
    endpoint: `127.0.0.1:${ports.client}`,
    certificates:
      options.tls === true
        ? { ca: join(certs, "ca.crt"), cert: join(certs, "client.crt"), key: join(certs, "client.key") }
        : undefined,
    directory,
    logs: () => printed,
    pid: () => child!.pid!,
    isRunning,
    memoryBytes: () => {
      const [, kib] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${child!.pid}/status`, "utf8"))!
      return Number(kib) * 1024
    },
    start,
    stop,
    kill9,
    release
  }
}
