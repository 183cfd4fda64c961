/** A machine of the cluster under test: a systemd of its own that runs one script when it has booted. */
import { execFile } from "node:child_process"
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { promisify } from "node:util"
import { TestProcess } from "../../cluster/support/process.ts"

const script = new URL("./machine.sh", import.meta.url).pathname
const run = promisify(execFile)

export interface MachineOptions {
  /** Host name, and the instance's ID. */
  readonly name: string
  /** For everything that belongs to the machine, apart from its disk. */
  readonly folder: string
  readonly namespace: string
  /** What is on its disk from the start, in one folder. */
  readonly files: { readonly source: string; readonly target: string }
  readonly script: string
  /** Variables of the script. */
  readonly environment: Readonly<Record<string, string>>
  /** Folders of this machine that the other one sees, read-only. */
  readonly binds: ReadonlyArray<{ readonly source: string; readonly target: string }>
}

const userdataUnit = `[Unit]
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
EnvironmentFile=/var/lib/cloud/environment
ExecStart=/var/lib/cloud/script
TimeoutStartSec=600
`

const groupMillisMax = 10_000

/** The groups of a machine that has ended; the kernel lets go of its last processes a moment later. */
const removeGroups = async (folder: string): Promise<void> => {
  const remove = (path: string): void => {
    for (const entry of readdirSync(path, { withFileTypes: true }))
      if (entry.isDirectory()) remove(join(path, entry.name))
    rmdirSync(path)
  }
  for (const deadline = performance.now() + groupMillisMax; existsSync(folder); await sleep(50)) {
    try {
      remove(folder)
    } catch (error) {
      if (performance.now() > deadline) throw error
    }
  }
}

export class Machine {
  readonly name: string
  readonly #options: MachineOptions
  readonly #process: TestProcess
  readonly #group: string

  constructor(options: MachineOptions) {
    this.name = options.name
    this.#options = options
    this.#group = `netsy-vm-${process.pid}-${options.name}`
    this.#process = new TestProcess(options.name, join(options.folder, "console.log"))
  }

  /** Switches it on; the script runs at the end of its boot. */
  start(): void {
    const { binds, environment, files: given, folder, namespace, script: text } = this.#options
    const files = join(folder, "files")
    const units = join(files, "etc/systemd/system")
    const cloud = join(files, "var/lib/cloud")
    for (const path of [join(units, "multi-user.target.wants"), cloud]) mkdirSync(path, { recursive: true })
    cpSync(given.source, join(files, given.target), { recursive: true })
    writeFileSync(join(cloud, "script"), text, { mode: 0o755 })
    writeFileSync(
      join(cloud, "environment"),
      Object.entries(environment)
        .map(([key, value]) => `${key}=${value}\n`)
        .join("")
    )
    symlinkSync("../userdata.service", join(units, "multi-user.target.wants/userdata.service"))
    writeFileSync(join(units, "userdata.service"), userdataUnit)
    writeFileSync(join(folder, "binds"), binds.map(({ source, target }) => `${source} ${target}\n`).join(""))
    this.#process.start({ file: script, args: [folder, this.#group, namespace], env: {} })
  }

  get running(): boolean {
    return this.#process.running
  }

  /** The process id here of its systemd. */
  #init(): number {
    const { pid } = this.#process
    const children = `/proc/${pid}/task/${pid}/children`
    const [child] = existsSync(children) ? readFileSync(children, "utf8").trim().split(" ") : []
    if (!child) throw new Error(`${this.name} does not run:\n${this.#process.tail()}`)
    return Number(child)
  }

  /** Runs a command in it; its output, and what went wrong. */
  async run(...command: ReadonlyArray<string>): Promise<{ readonly code: number; readonly output: string }> {
    const args = ["-t", String(this.#init()), "-m", "-p", "-n", "-u", "-i", "-C", "--", ...command]
    try {
      const { stderr, stdout } = await run("nsenter", args, {
        env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
        timeout: 60_000
      })
      return { code: 0, output: stdout + stderr }
    } catch (error) {
      const { code, stderr = "", stdout = "" } = error as { code?: number; stdout?: string; stderr?: string }
      return { code: typeof code === "number" ? code : -1, output: `${stdout}${stderr}` }
    }
  }

  /** A file of its disk, from outside. */
  path(file: string): string {
    return `/proc/${this.#init()}/root${file}`
  }

  /** What the unit has said so far. */
  async log(unit: string): Promise<string> {
    if (!this.running) return `(${this.name} is gone)`
    return (await this.run("journalctl", "-u", unit, "-o", "cat", "--no-pager", "-n", "200")).output
  }

  /** The power is cut, and the disk is gone with it. */
  async terminate(): Promise<void> {
    await this.#process.kill9()
    for (const mount of ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]) await removeGroups(join(mount, this.#group))
  }
}
