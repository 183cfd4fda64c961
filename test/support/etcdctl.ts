/** Debian's `etcdctl` (package etcd-client) as a child process. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import type { Daemon } from "./daemon.ts"

export interface Result {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const argumentsFor = (daemon: Daemon, args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const { certificates } = daemon
  if (certificates === undefined) return [`--endpoints=${daemon.endpoint}`, ...args]
  const { ca, cert, key } = certificates
  return [`--endpoints=https://${daemon.endpoint}`, `--cacert=${ca}`, `--cert=${cert}`, `--key=${key}`, ...args]
}

const launch = (daemon: Daemon, args: ReadonlyArray<string>): ChildProcessWithoutNullStreams =>
  spawn("etcdctl", argumentsFor(daemon, args), { env: { PATH: process.env["PATH"], ETCDCTL_API: "3" } })

/** Runs one command to its end, with `input` on its standard input. */
export const etcdctl = (daemon: Daemon, args: ReadonlyArray<string>, input = ""): Promise<Result> =>
  new Promise((resolve, reject) => {
    const child = launch(daemon, args)
    const stdout: Array<Buffer> = []
    const stderr: Array<Buffer> = []
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk))
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk))
    child.once("error", (error: NodeJS.ErrnoException) =>
      reject(error.code === "ENOENT" ? new Error("etcdctl is missing (Debian: apt-get install etcd-client)") : error)
    )
    child.once("close", (code) =>
      resolve({ code, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() })
    )
    child.stdin.on("error", () => {})
    child.stdin.end(input)
  })

export interface Running {
  /** Everything printed so far. */
  readonly output: () => string
  /** Waits until this many lines have been printed. */
  readonly lines: (count: number) => Promise<ReadonlyArray<string>>
  readonly ended: Promise<number | null>
  readonly stop: () => void
  /** SIGKILL: it cannot tidy up. */
  readonly kill: () => void
}

/** Starts a command that runs on, such as `watch`. */
export const startEtcdctl = (daemon: Daemon, args: ReadonlyArray<string>, deadlineMillis = 20_000): Running => {
  const child = launch(daemon, args)
  let output = ""
  let wake = (): void => {}
  const take = (chunk: Buffer): void => {
    output += chunk.toString()
    wake()
  }
  child.stdout.on("data", take)
  child.stderr.on("data", take)
  const printed = (): ReadonlyArray<string> => output.split("\n").slice(0, -1)
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("close", resolve)
    child.once("error", reject)
  })
  return {
    output: () => output,
    ended,
    stop: () => child.kill("SIGINT"),
    kill: () => child.kill("SIGKILL"),
    lines: (count) =>
      new Promise((resolve, reject) => {
        const late = setTimeout(() => {
          child.kill("SIGKILL")
          reject(new Error(`etcdctl ${args.join(" ")}: not ${count} lines after ${deadlineMillis} ms but:\n${output}`))
        }, deadlineMillis)
        wake = () => {
          if (printed().length < count) return
          clearTimeout(late)
          resolve(printed())
        }
        wake()
      })
  }
}
