/** A folder that looks like a clone to the scripts, with programs in place of those that they call. */
import { spawnSync } from "node:child_process"
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

export const root = fileURLToPath(new URL("../../..", import.meta.url))

export interface Result {
  readonly status: number | null
  readonly out: string
  readonly err: string
}

export interface Clone {
  readonly directory: string
  /** Runs a script of the clone with the machine's basic programs, those put in place, and these variables. */
  readonly run: (script: string, args: ReadonlyArray<string>, env?: Readonly<Record<string, string>>) => Result
  /** Puts a program in place; without a text it is a link to the machine's own. */
  readonly program: (name: string, text?: string) => void
  /** Makes the certificates as `make start` does. */
  readonly certificates: () => void
  /** What a program made by `recorder` was called with. */
  readonly recorded: (name: string) => ReadonlyArray<string>
  readonly release: () => void
}

const basics = ["awk", "cat", "cut", "dirname", "find", "grep", "head", "sed", "sh", "sort", "tr"]

/** A program that writes its arguments down, one a line, and ends well. */
export const recorder = '#!/bin/sh\nprintf "%s\\n" "$@" >"$0.called"\n'

export const makeClone = (): Clone => {
  const directory = mkdtempSync(join(tmpdir(), "netsy-clone-"))
  const bin = join(directory, "programs")
  mkdirSync(bin)
  cpSync(join(root, "scripts"), join(directory, "scripts"), { recursive: true })
  const program = (name: string, text?: string): void => {
    const path = join(bin, name)
    rmSync(path, { force: true })
    if (text === undefined) {
      symlinkSync(spawnSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).stdout.trim(), path)
      return
    }
    writeFileSync(path, text)
    chmodSync(path, 0o755)
  }
  for (const name of basics) program(name)
  return {
    directory,
    program,
    run: (script, args, env = {}) => {
      const result = spawnSync(join(directory, script), [...args], { encoding: "utf8", env: { PATH: bin, ...env } })
      return { status: result.status, out: result.stdout, err: result.stderr }
    },
    certificates: () => {
      const made = spawnSync(join(directory, "scripts/dev/certs.sh"), ["1"], { encoding: "utf8" })
      if (made.status !== 0) throw new Error(made.stderr)
    },
    recorded: (name) =>
      readFileSync(join(bin, `${name}.called`), "utf8")
        .trimEnd()
        .split("\n"),
    release: () => rmSync(directory, { recursive: true, force: true })
  }
}
