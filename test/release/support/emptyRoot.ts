/**
 * A root file system with the executable and the libraries that it is linked with, and nothing else: no shell, no Node, no
 * users. It is mounted read-only; what a program in it may write is mounted into it. A program runs there as a user
 * without rights, in a mount namespace of its own, so that nothing is left when it ends. Needs root.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import {
  chmodSync,
  chownSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"

export const user = 65_532
const readyMillis = 60_000

export interface EmptyRoot {
  readonly directory: string
  /** The folder that is /var/lib/netsy inside. */
  readonly data: string
  /** Paths of the libraries, as they are inside. */
  readonly libraries: ReadonlyArray<string>
  readonly start: (options: StartOptions) => Running
}

export interface StartOptions {
  /** A path inside. */
  readonly program?: string
  readonly args?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
  /** How /var/lib/netsy is mounted: "noexec", say. */
  readonly dataMount?: string
  /** Whether /tmp can be written to. */
  readonly tmp?: boolean
}

export interface Running {
  readonly child: ChildProcess
  readonly stdout: () => string
  readonly stderr: () => string
  readonly ended: Promise<number | null>
  readonly kill: (signal: "SIGTERM" | "SIGKILL") => Promise<number | null>
}

/** What the dynamic linker says the file needs, the linker included. */
const librariesOf = (file: string): ReadonlyArray<string> =>
  execFileSync("ldd", [file], { encoding: "utf8" })
    .split("\n")
    .map((line) => /(?:=> )?(\/\S+) \(0x/.exec(line)?.[1])
    .filter((path) => path !== undefined)

/** Hard links where that goes: the executable is large. */
const put = (path: string, to: string): void => {
  const from = realpathSync(path)
  mkdirSync(dirname(to), { recursive: true })
  try {
    linkSync(from, to)
  } catch {
    copyFileSync(from, to)
  }
}

/** $1 root, $2 data, $3 options of the data's mount, $4 what /tmp is if anything, the rest: the program. */
const enter = `
root=$1 data=$2 options=$3 tmp=$4; shift 4
mount --bind "$root" "$root"
mount --bind /proc "$root/proc"
mount --bind /dev/null "$root/dev/null"
mount --bind "$data" "$root/var/lib/netsy"
[ -z "$options" ] || mount -o "remount,bind,$options" "$root/var/lib/netsy"
[ -z "$tmp" ] || mount --bind "$tmp" "$root/tmp"
mount -o remount,bind,ro "$root"
exec chroot --userspec=${user}:${user} "$root" "$@"
`

export const emptyRoot = (executable: string): EmptyRoot => {
  const scratch = mkdtempSync(join(tmpdir(), "netsy-root-"))
  const directory = join(scratch, "root")
  const data = join(scratch, "data")
  chmodSync(scratch, 0o755)
  for (const folder of ["proc", "dev", "tmp", "etc/netsy", "var/lib/netsy"]) {
    mkdirSync(join(directory, folder), { recursive: true })
  }
  writeFileSync(join(directory, "dev/null"), "")
  const temporary = join(scratch, "tmp")
  for (const folder of [data, temporary]) {
    mkdirSync(folder, { mode: 0o750 })
    chownSync(folder, user, user)
  }
  const libraries = librariesOf(executable)
  for (const library of libraries) put(library, join(directory, library))
  put(executable, join(directory, "usr/bin/netsy"))
  return {
    directory,
    data,
    libraries,
    start: ({ args = [], dataMount = "", env = {}, program = "/usr/bin/netsy", tmp = false }) => {
      const mounts = [directory, data, dataMount, tmp ? temporary : ""]
      const words = ["--mount", "--propagation", "private", "sh", "-eu", "-c", enter, "enter", ...mounts]
      const child = spawn("unshare", [...words, program, ...args], {
        // The path is for the shell that mounts; the program finds nothing there.
        env: { PATH: process.env["PATH"], ...env },
        stdio: ["ignore", "pipe", "pipe"]
      })
      let out = ""
      let error = ""
      child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()))
      child.stderr.on("data", (chunk: Buffer) => (error += chunk.toString()))
      const ended = new Promise<number | null>((resolve, reject) => {
        child.once("close", resolve)
        child.once("error", reject)
      })
      return {
        child,
        stdout: () => out,
        stderr: () => error,
        ended,
        kill: (signal) => {
          child.kill(signal)
          return ended
        }
      }
    }
  }
}

export const removeRoot = (root: EmptyRoot): void => rmSync(dirname(root.directory), { recursive: true, force: true })

/** Waits until the URL answers with 200. */
export const ready = async (running: Running, url: string, millis = readyMillis): Promise<void> => {
  for (const deadline = Date.now() + millis; ; await sleep(100)) {
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(2_000) })
      await answer.arrayBuffer()
      if (answer.ok) return
    } catch {
      // Not yet.
    }
    const { exitCode, signalCode } = running.child
    if (exitCode !== null || signalCode !== null || Date.now() > deadline) {
      throw new Error(`${url} does not answer:\n${running.stdout()}${running.stderr()}`)
    }
  }
}
