/** Child processes that live as long as their scope, free ports for them, and the CPU time they have used. */
import { type ChildProcess, spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { createServer, type Socket, connect } from "node:net"
import { Effect, type Scope } from "effect"
import { BenchFailure } from "./failure.ts"

const stopLimitMillis = 20_000
const outputTailChars = 4_000
/** Linux counts CPU time in hundredths of a second, whatever the kernel's own tick is. */
const ticksPerSecond = 100

export interface Running {
  readonly name: string
  readonly pid: number
  /** Undefined while the process lives; else how it ended, with the end of its output. */
  readonly ended: () => string | undefined
  /** Asks with SIGTERM, or kills; succeeds when the process is gone. */
  readonly stop: (how: "SIGTERM" | "SIGKILL") => Effect.Effect<void>
}

export interface SpawnOptions {
  readonly name: string
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
}

const gone = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

const untilGone = (child: ChildProcess): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (gone(child)) return resume(Effect.void)
    const onExit = (): void => resume(Effect.void)
    child.once("exit", onExit)
    return Effect.sync(() => child.removeListener("exit", onExit))
  })

const stopChild = (child: ChildProcess, how: "SIGTERM" | "SIGKILL"): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (gone(child)) return
    child.kill(how)
    yield* untilGone(child).pipe(Effect.timeoutOption(stopLimitMillis))
    if (gone(child)) return
    child.kill("SIGKILL")
    yield* untilGone(child)
  })

export const start = (options: SpawnOptions): Effect.Effect<Running, BenchFailure, Scope.Scope> =>
  Effect.gen(function* () {
    let output = ""
    let failed: string | undefined
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const started = spawn(options.command, [...options.args], {
          cwd: options.cwd,
          env: { ...options.env },
          stdio: ["ignore", "pipe", "pipe"]
        })
        const keep = (piece: Buffer): void => void (output = (output + piece.toString()).slice(-outputTailChars))
        started.stdout.on("data", keep)
        started.stderr.on("data", keep)
        started.once("error", (error) => void (failed = error.message))
        return started
      }),
      (started) => (started.pid === undefined ? Effect.void : stopChild(started, "SIGTERM"))
    )
    if (child.pid === undefined) {
      yield* Effect.sleep(0)
      return yield* new BenchFailure({ message: `${options.name} cannot be started: ${failed ?? options.command}` })
    }
    return {
      name: options.name,
      pid: child.pid,
      ended: () =>
        gone(child)
          ? `${options.name} ended with ${child.exitCode ?? child.signalCode}; its last words:\n${output.trimEnd()}`
          : undefined,
      stop: (how) => stopChild(child, how)
    }
  })

export const freePort: Effect.Effect<number> = Effect.callback((resume) => {
  const server = createServer()
  server.once("error", (error) => resume(Effect.die(error)))
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    server.close(() => resume(Effect.succeed(port)))
  })
})

/** Does anybody accept connections there now? */
export const accepts = (port: number): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const socket: Socket = connect(port, "127.0.0.1")
    const finish = (answer: boolean): void => {
      socket.destroy()
      resume(Effect.succeed(answer))
    }
    socket.once("connect", () => finish(true))
    socket.once("error", () => finish(false))
    return Effect.sync(() => socket.destroy())
  })

/** User and system time of a process and its threads; undefined where the system does not tell. */
export const cpuSeconds = (pid: number): number | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    // The name in parentheses may hold spaces.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
  } catch {
    return undefined
  }
}
