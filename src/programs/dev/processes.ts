/**
 * Processes that outlive the command that started them: a pid file each, a process group each, output into a log file.
 * A pid file also holds the process's start time, so that a reused pid is never taken for ours.
 */
import { spawn } from "node:child_process"
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { dirname } from "node:path"
import { Data, Effect } from "effect"
import { environment, type Instance } from "./instances.ts"

/** Something the developer has to know or do; the message is all there is to it. */
export class DevError extends Data.TaggedError("DevError")<{ readonly message: string }> {}

interface PidFile {
  readonly pid: number
  readonly started: string
}

const hasProc = existsSync("/proc/self/stat")

interface ProcStat {
  /** "Z" is a zombie: it has ended, only nobody has asked for its exit code. */
  readonly state: string
  readonly group: number
  /** Kernel ticks since boot. */
  readonly started: string
}

const procStat = (pid: number | string): ProcStat | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return { state: fields[0] ?? "", group: Number(fields[2]), started: fields[19] ?? "" }
  } catch {
    return undefined
  }
}

const exists = (target: number): boolean => {
  try {
    process.kill(target, 0)
    return true
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === "EPERM"
  }
}

/** When the process started; "" where /proc does not tell, undefined when it is gone. */
const startTimeOf = (pid: number): string | undefined => {
  if (!hasProc) return exists(pid) ? "" : undefined
  const stat = procStat(pid)
  return stat === undefined || stat.state === "Z" ? undefined : stat.started
}

/** Whether the process group has a member that has not ended. */
const groupLives = (group: number): boolean => {
  if (!exists(-group)) return false
  if (!hasProc) return true
  return readdirSync("/proc").some((name) => {
    const stat = /^\d+$/.test(name) ? procStat(name) : undefined
    return stat !== undefined && stat.state !== "Z" && stat.group === group
  })
}

/** The pid of a running instance. A watcher that was killed leaves its child: the group then still counts as running. */
export const pidOf = (instance: Instance): number | undefined => {
  let file: PidFile
  try {
    file = JSON.parse(readFileSync(instance.pidFile, "utf8")) as PidFile
  } catch {
    return undefined
  }
  if (!Number.isSafeInteger(file.pid) || file.pid <= 1) return undefined
  const started = startTimeOf(file.pid)
  if (started === undefined) return groupLives(file.pid) ? file.pid : undefined
  return started === file.started ? file.pid : undefined
}

/** The process that does the work: the watcher's child, where there is a watcher. What `kill -9` is to be tried on. */
export const workerOf = (pid: number): number => {
  if (!hasProc) return pid
  const child = readdirSync("/proc").find((name) => {
    const stat = /^\d+$/.test(name) && Number(name) !== pid ? procStat(name) : undefined
    return stat !== undefined && stat.state !== "Z" && stat.group === pid
  })
  return child === undefined ? pid : Number(child)
}

/** Starts the instance; with `freshLog` the log begins anew and the former one is kept under `.old`. */
export const launch = (instance: Instance, freshLog: boolean): Effect.Effect<number, DevError> =>
  Effect.try({
    try: () => {
      mkdirSync(dirname(instance.logFile), { recursive: true })
      mkdirSync(dirname(instance.pidFile), { recursive: true })
      if (freshLog && existsSync(instance.logFile)) renameSync(instance.logFile, `${instance.logFile}.old`)
      const log = openSync(instance.logFile, "a")
      const child = spawn(process.execPath, [...instance.args], {
        detached: true,
        stdio: ["ignore", log, log],
        env: environment(process.env, instance)
      })
      closeSync(log)
      // Without a listener a failed spawn would end this process; no pid then says so below.
      child.on("error", () => {})
      child.unref()
      if (child.pid === undefined) throw new Error("the process could not be created")
      const file: PidFile = { pid: child.pid, started: startTimeOf(child.pid) ?? "" }
      writeFileSync(instance.pidFile, `${JSON.stringify(file)}\n`)
      return child.pid
    },
    catch: (cause) => new DevError({ message: `${instance.name} cannot be started: ${String(cause)}` })
  })

const signal = (target: number, name: "SIGTERM" | "SIGKILL"): void => {
  try {
    process.kill(target, name)
  } catch {
    // Ended in the meantime.
  }
}

const stopLimitMillis = 30_000
const stopPollMillis = 100

/** Asks the instance to stop and waits, at most 30 s, then kills its group. Says whether it ran. */
export const halt = Effect.fnUntraced(function* (instance: Instance) {
  const pid = pidOf(instance)
  if (pid !== undefined) {
    // A watcher hands the signal to its child and waits for it; without the watcher the group gets it.
    signal(startTimeOf(pid) === undefined ? -pid : pid, "SIGTERM")
    for (let waited = 0; waited < stopLimitMillis && pidOf(instance) !== undefined; waited += stopPollMillis) {
      yield* Effect.sleep(stopPollMillis)
    }
    if (pidOf(instance) !== undefined) {
      yield* Effect.sync(() => console.log(`${instance.name} did not stop within ${stopLimitMillis / 1000} s: killed`))
    }
    if (groupLives(pid)) signal(-pid, "SIGKILL")
  }
  rmSync(instance.pidFile, { force: true })
  return pid !== undefined
})

/** The last `count` lines of the instance's log. */
export const lastLines = (instance: Instance, count: number): ReadonlyArray<string> => {
  try {
    return readFileSync(instance.logFile, "utf8").trimEnd().split("\n").slice(-count)
  } catch {
    return []
  }
}
