/** The pair of processes a sequence is sent to. Their data is in memory where the machine has a directory for that. */
import { existsSync } from "node:fs"
import { type Daemon, startDaemon } from "../support/daemon.ts"
import { generate, type Options } from "./generate.ts"
import type { Operation } from "./operations.ts"
import { prologue } from "./prologue.ts"
import { type Result, Run } from "./run.ts"
import { type Program, Target } from "./target.ts"

if (existsSync("/dev/shm")) process.env["TMPDIR"] ??= "/dev/shm"

const start = (program: Program): Promise<Daemon> =>
  startDaemon(program === "etcd" ? { program, args: ["--bcrypt-cost=4", "--log-level=error"] } : { program })

export interface Outcome extends Result {
  /** What each process printed last. */
  readonly logs: string
}

export const sequence = (options: Options): ReadonlyArray<Operation> => [...prologue(options), ...generate(options)]

/** Fresh servers for each sequence. */
export const runPair = async (programs: readonly [Program, Program], operations: ReadonlyArray<Operation>) => {
  const [first, second] = await Promise.all([start(programs[0]), start(programs[1])])
  const targets = [new Target(programs[0], first.endpoint), new Target(programs[1], second.endpoint)] as const
  try {
    const result = await new Run(targets[0], targets[1], operations).run()
    const tail = (daemon: Daemon): string => daemon.logs().split("\n").slice(-15).join("\n")
    const outcome: Outcome = { ...result, logs: `first:\n${tail(first)}\nsecond:\n${tail(second)}` }
    return outcome
  } finally {
    for (const target of targets) target.close()
    await Promise.all([first.release(), second.release()])
  }
}
