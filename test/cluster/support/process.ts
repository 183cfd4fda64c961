/** A program of the cluster under test: started, signalled, waited for; its output goes into a file that outlives it. */
import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from "node:fs"
import { dirname } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"

export interface Command {
  readonly file: string
  readonly args: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string>>
}

/** How a program gets into a network namespace; undefined: the test's own. */
const inside = (command: Command, namespace: string | undefined): Command =>
  namespace === undefined
    ? command
    : { ...command, file: "ip", args: ["netns", "exec", namespace, command.file, ...command.args] }

/** Nothing of the developer's own environment decides what is tested. */
const inherited = (): Record<string, string> =>
  Object.fromEntries(
    Object.entries(process.env).filter(
      (pair): pair is [string, string] =>
        pair[1] !== undefined && !/^(NETSY|ETCD|AWS|GOOGLE|VITEST|NODE_OPTIONS)/.test(pair[0])
    )
  )

const stopLimitMillis = 40_000

export class TestProcess {
  readonly name: string
  readonly logFile: string
  #child: ChildProcess | undefined
  #ended: Promise<number | null> = Promise.resolve(null)
  #paused = false
  readonly #killAtExit = (): void => void this.#child?.kill("SIGKILL")

  constructor(name: string, logFile: string) {
    this.name = name
    this.logFile = logFile
    mkdirSync(dirname(logFile), { recursive: true })
  }

  /** `messages`: a channel for `send`. */
  start(
    command: Command,
    options: { readonly namespace?: string | undefined; readonly messages?: boolean } = {}
  ): void {
    if (this.running) throw new Error(`${this.name} is running already`)
    const { args, env, file } = inside(command, options.namespace)
    const log = openSync(this.logFile, "a")
    const child = spawn(file, [...args], {
      env: { ...inherited(), ...env },
      stdio: options.messages === true ? ["ignore", log, log, "ipc"] : ["ignore", log, log]
    })
    closeSync(log)
    this.#child = child
    this.#paused = false
    process.on("exit", this.#killAtExit)
    this.#ended = new Promise((resolve) => {
      const end = (code: number | null): void => {
        process.off("exit", this.#killAtExit)
        resolve(code)
      }
      child.once("exit", end)
      child.once("error", () => end(null))
    })
  }

  get running(): boolean {
    const child = this.#child
    return child !== undefined && child.pid !== undefined && child.exitCode === null && child.signalCode === null
  }

  get paused(): boolean {
    return this.#paused
  }

  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined) throw new Error(`${this.name} was never started`)
    return pid
  }

  send(message: object): void {
    this.#child?.send(message)
  }

  /** The next message that the program sends. */
  received(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#child!.once("message", resolve)
      this.#child!.once("exit", () => reject(new Error(`${this.name} ended:\n${this.tail()}`)))
    })
  }

  async kill9(): Promise<void> {
    this.#child?.kill("SIGKILL")
    await this.#ended
  }

  pause(): void {
    this.#child?.kill("SIGSTOP")
    this.#paused = true
  }

  resume(): void {
    this.#child?.kill("SIGCONT")
    this.#paused = false
  }

  /** SIGTERM; the exit code. Killed when it takes too long. */
  async stop(): Promise<number | null> {
    if (!this.running) return this.#ended
    if (this.#paused) this.resume()
    this.#child!.kill("SIGTERM")
    const late = setTimeout(() => this.#child?.kill("SIGKILL"), stopLimitMillis)
    const code = await this.#ended
    clearTimeout(late)
    return code
  }

  log(): string {
    return existsSync(this.logFile) ? readFileSync(this.logFile, "utf8") : ""
  }

  tail(lines = 30): string {
    return this.log().trimEnd().split("\n").slice(-lines).join("\n")
  }
}

/** Polls until it is so; fails with what `else` says. */
export const until = async (
  what: string,
  limitMillis: number,
  isSo: () => Promise<boolean> | boolean,
  otherwise: () => Promise<string> | string = () => ""
): Promise<void> => {
  const deadline = performance.now() + limitMillis
  while (!(await isSo())) {
    if (performance.now() > deadline)
      throw new Error(`not within ${limitMillis / 1000} s: ${what}. ${await otherwise()}`)
    await sleep(50)
  }
}
