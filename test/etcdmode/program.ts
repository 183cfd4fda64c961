/** `netsy etcd` as a process of its own, started through a link named `etcd`, in a directory that goes with the scope. */
import { spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect, type Scope } from "effect"

const executable = process.env["NETSY_TEST_PROGRAM"] ?? fileURLToPath(new URL("../../bin/netsy", import.meta.url))
const readyMillis = 20_000
const stopMillis = 15_000

/** Nothing of the developer's own environment decides what is tested. */
const clean = (): Record<string, string | undefined> =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(NETSY|ETCD|NOTIFY)/.test(name)))

export interface Place {
  readonly directory: string
  /** The link. */
  readonly etcd: string
}

export const place: Effect.Effect<Place, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => {
    const directory = mkdtempSync(join(tmpdir(), "netsy-etcd-"))
    const etcd = join(directory, "etcd")
    symlinkSync(executable, etcd)
    return { directory, etcd }
  }),
  ({ directory }) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

export interface Line {
  readonly level: string
  readonly ts: string
  readonly msg: string
  readonly [field: string]: unknown
}

export interface Program {
  readonly printed: () => string
  /** What it has printed as JSON, so far. */
  readonly lines: () => ReadonlyArray<Line>
  readonly signal: (signal: "SIGSTOP" | "SIGCONT") => void
  /** SIGTERM; the exit code. */
  readonly stop: () => Promise<number | null>
}

export interface StartOptions {
  readonly argv?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
  /** What it says when it is ready. */
  readonly ready?: string
}

/** Waits until it says that it is ready. */
export const start = (
  { directory, etcd }: Place,
  { argv = [], env = {}, ready = "ready to serve client requests" }: StartOptions
): Effect.Effect<Program, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const child = spawn(etcd, argv, {
        cwd: directory,
        env: { ...clean(), ...env },
        stdio: ["ignore", "pipe", "pipe"]
      })
      let printed = ""
      let wake = (): void => {}
      const ended = new Promise<number | null>((resolve, reject) => {
        child.once("exit", resolve)
        child.once("error", reject)
      })
      const take = (chunk: Buffer): void => {
        printed += chunk.toString()
        wake()
      }
      child.stdout.on("data", take)
      child.stderr.on("data", take)
      const late = setTimeout(() => child.kill("SIGKILL"), readyMillis)
      const said = new Promise<void>((resolve) => {
        wake = () => {
          if (printed.includes(ready)) resolve()
        }
      })
      const code = await Promise.race([said.then(() => "ready" as const), ended])
      clearTimeout(late)
      if (code !== "ready") throw new Error(`it ended with ${code} before it was ready:\n${printed}`)
      const program: Program = {
        printed: () => printed,
        lines: () =>
          printed
            .split("\n")
            .filter((line) => line.startsWith("{"))
            .map((line) => JSON.parse(line) as Line),
        signal: (signal) => void child.kill(signal),
        stop: async () => {
          child.kill("SIGCONT")
          child.kill("SIGTERM")
          const timer = setTimeout(() => child.kill("SIGKILL"), stopMillis)
          const exitCode = await ended
          clearTimeout(timer)
          return exitCode
        }
      }
      return program
    }),
    (program) => Effect.promise(program.stop)
  )

/** To the end: for command lines that do not start anything. */
export const runOnce = (
  { directory, etcd }: Place,
  argv: ReadonlyArray<string>,
  env: Readonly<Record<string, string>> = {}
): { readonly code: number | null; readonly stdout: string; readonly stderr: string } => {
  const { status, stderr, stdout } = spawnSync(etcd, argv, {
    cwd: directory,
    env: { ...clean(), ...env } as NodeJS.ProcessEnv,
    encoding: "utf8",
    timeout: readyMillis
  })
  return { code: status, stdout, stderr }
}

export interface CtlResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export const etcdctl = (args: ReadonlyArray<string>, cwd = tmpdir()): Effect.Effect<CtlResult> =>
  Effect.callback((resume) => {
    const child = spawn("etcdctl", args, { cwd, env: { PATH: process.env["PATH"], ETCDCTL_API: "3" } })
    let stdout = ""
    let stderr = ""
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()))
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()))
    child.once("close", (code) => resume(Effect.succeed({ code, stdout, stderr })))
  })
