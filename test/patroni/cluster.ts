/** PostgreSQL servers under Patroni on this machine, which keeps its state in the server under test (mode etcd3). */
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process"
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { promisify } from "node:util"
import { freePorts } from "../support/daemon.ts"

const postgresHome = "/usr/lib/postgresql"
const scope = "shop"
const password = "secret"
/** A leader that is gone is so for others after this. */
export const leaderTtlSeconds = 20

export interface MemberState {
  readonly name: string
  readonly role: string
  readonly state: string
  readonly timeline?: number
}

/** PostgreSQL refuses to run as root: whom it runs as. */
const owner = (): { readonly uid: number; readonly gid: number } | undefined => {
  if (process.getuid?.() !== 0) return undefined
  const ask = (what: string): number => Number(execFileSync("id", [what, "postgres"]).toString())
  return { uid: ask("-u"), gid: ask("-g") }
}

const binaries = (): string => {
  const versions = existsSync(postgresHome) ? readdirSync(postgresHome) : []
  const found = versions
    .map((version) => join(postgresHome, version, "bin"))
    .find((d) => existsSync(join(d, "postgres")))
  if (found === undefined) throw new Error("PostgreSQL is missing (Debian: apt-get install postgresql)")
  return found
}

export interface Login {
  readonly username: string
  readonly password: string
}

interface Member {
  readonly name: string
  readonly directory: string
  readonly config: string
  readonly restPort: number
  readonly postgresPort: number
  process: ChildProcess | undefined
}

export class PatroniCluster {
  readonly #directory: string
  readonly #as = owner()
  readonly #binaries = binaries()
  readonly #members: Array<Member> = []

  private constructor(directory: string) {
    this.#directory = directory
  }

  /** `etcd` is `host:port`. */
  static async start(etcd: string, count: number, login?: Login): Promise<PatroniCluster> {
    const cluster = new PatroniCluster(mkdtempSync(join(tmpdir(), "netsy-patroni-")))
    chmodSync(cluster.#directory, 0o755)
    const ports = await freePorts(count * 2)
    for (let i = 0; i < count; i++) cluster.#add(`pg${i + 1}`, etcd, ports[2 * i]!, ports[2 * i + 1]!, login)
    for (const { name } of cluster.#members) cluster.startMember(name)
    return cluster
  }

  #add(name: string, etcd: string, restPort: number, postgresPort: number, login: Login | undefined): void {
    const directory = join(this.#directory, name)
    mkdirSync(directory, { mode: 0o700 })
    if (this.#as !== undefined) chownSync(directory, this.#as.uid, this.#as.gid)
    const config = join(directory, "patroni.json")
    const user = (username: string) => ({ username, password })
    // YAML, of which JSON is a part.
    const settings = {
      scope,
      name,
      restapi: { listen: `127.0.0.1:${restPort}`, connect_address: `127.0.0.1:${restPort}` },
      // With authentication etcd gives the member list to users only since 3.6.9, and this Patroni asks for it before it
      // logs in: as for a proxy, it is told to take the server as it is.
      etcd3: { host: etcd, ...(login === undefined ? {} : { ...login, use_proxies: true }) },
      bootstrap: {
        dcs: {
          ttl: leaderTtlSeconds,
          loop_wait: 2,
          retry_timeout: 5,
          postgresql: { use_pg_rewind: true, parameters: { max_connections: 20, shared_buffers: "16MB", fsync: "off" } }
        },
        initdb: [{ encoding: "UTF8" }, { "auth-host": "md5" }, "data-checksums"],
        pg_hba: ["local all all trust", "host all all 127.0.0.1/32 md5", "host replication all 127.0.0.1/32 md5"]
      },
      postgresql: {
        listen: `127.0.0.1:${postgresPort}`,
        connect_address: `127.0.0.1:${postgresPort}`,
        data_dir: join(directory, "data"),
        bin_dir: this.#binaries,
        pgpass: join(directory, "pgpass"),
        authentication: { superuser: user("postgres"), replication: user("replicator"), rewind: user("rewinder") },
        parameters: { unix_socket_directories: directory }
      }
    }
    writeFileSync(config, JSON.stringify(settings, undefined, 1), { mode: 0o644 })
    this.#members.push({ name, directory, config, restPort, postgresPort, process: undefined })
  }

  #member(name: string): Member {
    return this.#members.find((member) => member.name === name)!
  }

  startMember(name: string): void {
    const member = this.#member(name)
    const log = openSync(join(this.#directory, `${name}.log`), "a")
    // Its own process group, so that PostgreSQL can be killed with it.
    const child = spawn("patroni", [member.config], {
      ...this.#as,
      cwd: member.directory,
      detached: true,
      env: { PATH: process.env["PATH"], HOME: member.directory, LC_ALL: "C.UTF-8" },
      stdio: ["ignore", log, log]
    })
    child.once("error", (error) => writeFileSync(log, `${error}\n`))
    closeSync(log)
    member.process = child
  }

  /** Patroni and PostgreSQL die together, as with their machine. */
  async killMember(name: string): Promise<void> {
    const member = this.#member(name)
    const child = member.process
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once("exit", resolve))
    // PostgreSQL has a session of its own.
    const pidFile = join(member.directory, "data/postmaster.pid")
    const postmaster = existsSync(pidFile) ? Number(readFileSync(pidFile, "utf8").split("\n")[0]) : undefined
    process.kill(-child.pid, "SIGKILL")
    await ended
    if (postmaster === undefined) return
    try {
      process.kill(-postmaster, "SIGKILL")
    } catch {
      // It ended with Patroni.
    }
  }

  /** What the first member that answers says. */
  async state(): Promise<ReadonlyArray<MemberState>> {
    for (const { restPort } of this.#members) {
      try {
        const answer = await fetch(`http://127.0.0.1:${restPort}/cluster`, { signal: AbortSignal.timeout(3000) })
        return ((await answer.json()) as { readonly members: ReadonlyArray<MemberState> }).members
      } catch {
        // Not started yet, or killed.
      }
    }
    return []
  }

  /** Waits for a leader and so many replicas that follow it; the leader's name. */
  async untilHealthy(replicas: number, limitMillis: number, other?: string): Promise<string> {
    for (const until = Date.now() + limitMillis; ; await sleep(200)) {
      const members = await this.state()
      const leader = members.find(({ role, state }) => role === "leader" && state === "running")
      const following = members.filter(
        ({ role, state, timeline }) =>
          role !== "leader" && ["running", "streaming"].includes(state) && timeline === leader?.timeline
      )
      const isAnother = leader !== undefined && leader.name !== other
      if (isAnother && following.length >= replicas) return leader.name
      if (Date.now() > until) {
        throw new Error(`no leader with ${replicas} replicas: ${JSON.stringify(members)}\n${this.logs()}`)
      }
    }
  }

  async sql(name: string, statement: string): Promise<string> {
    const { postgresPort } = this.#member(name)
    const connection = `host=127.0.0.1 port=${postgresPort} user=postgres dbname=postgres connect_timeout=5`
    const { stdout } = await promisify(execFile)("psql", ["-X", "-A", "-t", "-q", "-c", statement, connection], {
      env: { PATH: process.env["PATH"], PGPASSWORD: password }
    })
    return stdout.trim()
  }

  /** Repeats a read until it says what is wanted: replicas are a moment behind. */
  async untilSql(name: string, statement: string, wanted: string, limitMillis = 30_000): Promise<void> {
    for (const until = Date.now() + limitMillis; ; await sleep(200)) {
      const got = await this.sql(name, statement).catch((error: unknown) => String(error))
      if (got === wanted) return
      if (Date.now() > until) throw new Error(`${name} answers ${statement} with ${got} instead of ${wanted}`)
    }
  }

  async patronictl(...args: ReadonlyArray<string>): Promise<string> {
    const [first] = this.#members
    const { stdout } = await promisify(execFile)("patronictl", ["-c", first!.config, ...args], {
      ...this.#as,
      cwd: first!.directory,
      env: { PATH: process.env["PATH"], HOME: first!.directory, LC_ALL: "C.UTF-8" }
    })
    return stdout
  }

  switchover(from: string, to: string): Promise<string> {
    return this.patronictl("switchover", scope, "--master", from, "--candidate", to, "--force")
  }

  /** The last lines of every member. */
  logs(): string {
    return this.#members
      .map(({ name }) => {
        const lines = readFileSync(join(this.#directory, `${name}.log`), "utf8").split("\n")
        return `--- ${name}\n${lines.slice(-25).join("\n")}`
      })
      .join("\n")
  }

  async release(): Promise<void> {
    for (const { name } of this.#members) await this.killMember(name)
    await sleep(200)
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 5 })
  }
}
