/**
 * Does what a page shows, block by block, as a reader would in one shell at the root of a fresh clone. Words behind the
 * fence say how; a reader of the page does not see them:
 *
 *   ```sh run                    the commands; each must end well
 *   ```sh run fails              a command that must not
 *   ```sh run background         a program that goes on; the walk does too, when it has printed `netsy_ready`
 *   ```sh run background until=TEXT
 *   ```text output               what the block before has printed: … stands for anything, alone in a line for any lines
 *   ```jsonc file=netsy.jsonc    is written to that file; any language
 */
import { execFileSync, spawn, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { stripVTControlCharacters } from "node:util"
import type { Page } from "./page.ts"
import { files, root } from "./project.ts"

export type Step =
  | { readonly kind: "run"; readonly text: string; readonly line: number }
  | { readonly kind: "fails"; readonly text: string; readonly line: number }
  | { readonly kind: "background"; readonly text: string; readonly line: number; readonly until: string }
  | { readonly kind: "file"; readonly text: string; readonly line: number; readonly name: string }
  | { readonly kind: "output"; readonly text: string; readonly line: number }

const valueOf = (words: ReadonlyArray<string>, name: string): string | undefined =>
  words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1)

export const stepsOf = (page: Page): ReadonlyArray<Step> =>
  page.blocks.flatMap(({ line, text, words }): ReadonlyArray<Step> => {
    const name = valueOf(words, "file")
    if (name !== undefined) return [{ kind: "file", text, line, name }]
    if (words.includes("output")) return [{ kind: "output", text, line }]
    if (!words.includes("run")) return []
    if (words.includes("background")) {
      return [{ kind: "background", text, line, until: valueOf(words, "until") ?? "netsy_ready" }]
    }
    return [{ kind: words.includes("fails") ? "fails" : "run", text, line }]
  })

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

/** The bash program that does the steps. Blocks are sourced, so that a `cd` or an `export` holds for those behind it. */
const driverOf = (steps: ReadonlyArray<Step>): string =>
  [
    "set -eo pipefail",
    'if [ -n "$WALK_ALONE" ]; then ip link set lo up; fi',
    "at=0",
    'finish() { code=$?; trap - EXIT; echo "$at $code" >"$WALK/result"; cd "$WALK_CLONE"',
    "  [ ! -d temp/run ] || make stop >/dev/null 2>&1 || true; kill $(jobs -p) 2>/dev/null || true; }",
    "trap finish EXIT",
    'until_said() { for _ in $(seq 600); do ! grep -qF -- "$2" "$WALK/$1.out" || return 0; kill -0 $3 || return 1; sleep 0.1; done; return 1; }',
    ...steps.flatMap((step, i) => {
      const script = `"$WALK/${i}.sh" >"$WALK/${i}.out" 2>&1`
      if (step.kind === "output") return []
      if (step.kind === "file") return [`at=${i}`, `cp "$WALK/${i}.sh" ${quoted(step.name)}`]
      if (step.kind === "run") return [`at=${i}`, `. ${script} </dev/null`]
      if (step.kind === "fails") return [`at=${i}`, `if (. ${script} </dev/null); then false; fi`]
      return [`at=${i}`, `(. ${script} </dev/null) &`, `until_said ${i} ${quoted(step.until)} $!`]
    }),
    "at=end",
    ""
  ].join("\n")

/** Undefined: it was printed. */
export const unlike = (wanted: string, printed: string): string | undefined => {
  const lines = wanted.split("\n").map((line) =>
    line.trim() === "…"
      ? "(?:.*\\n)*?"
      : `${line
          .trimEnd()
          .replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")
          .replaceAll("…", ".*?")}[ \\t]*\\n`
  )
  const bare = stripVTControlCharacters(printed)
  return new RegExp(`^${lines.join("")}$`).test(bare.endsWith("\n") ? bare : `${bare}\n`)
    ? undefined
    : `the page shows\n${wanted}\nand this was printed:\n${bare}`
}

/** Ports, processes and their end are the walk's own where the system allows it. */
const alone = ["unshare", "-rnpf", "--kill-child", "--mount-proc"]
const canBeAlone = (): boolean => spawnSync(alone[0]!, [...alone.slice(1), "true"]).status === 0

const environment = (clone: string, walk: string): Record<string, string | undefined> => ({
  ...Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(?:NETSY|ETCD|AWS|GOOGLE|NODE_|VITEST|MAKE|MFLAGS|npm_|NOTIFY)/.test(name)
    )
  ),
  HOME: walk,
  PATH: [join(clone, "bin"), dirname(process.execPath), process.env["PATH"]].join(delimiter),
  WALK: walk,
  WALK_CLONE: clone,
  WALK_ALONE: canBeAlone() ? "yes" : ""
})

const freshClone = (clone: string): void => {
  const archive = execFileSync("tar", ["-c", "--null", "-T", "-"], {
    cwd: root,
    input: files.join("\0"),
    maxBuffer: 1 << 28
  })
  execFileSync("tar", ["-x"], { cwd: clone, input: archive })
  for (const path of ["node_modules", ".toolchain"]) {
    if (existsSync(join(root, path))) symlinkSync(join(root, path), join(clone, path))
  }
}

/** What went differently from the page; empty: nothing. */
export const walk = async (page: Page, timeoutMillis: number, prepare = freshClone): Promise<string> => {
  const steps = stepsOf(page)
  const directory = mkdtempSync(join(tmpdir(), "netsy-walk-"))
  const clone = join(directory, "netsy")
  const place = join(directory, "walk")
  try {
    mkdirSync(clone)
    mkdirSync(place)
    prepare(clone)
    steps.forEach(({ text }, i) => writeFileSync(join(place, `${i}.sh`), `${text}\n`))
    writeFileSync(join(place, "driver"), driverOf(steps))
    const env = environment(clone, place)
    const command = [...(env["WALK_ALONE"] === "yes" ? alone : []), "bash", join(place, "driver")]
    const child = spawn(command[0]!, command.slice(1), { cwd: clone, env, stdio: "ignore", detached: true })
    const timer = setTimeout(() => process.kill(-child.pid!, "SIGKILL"), timeoutMillis)
    await new Promise((resolve, reject) => child.once("exit", resolve).once("error", reject))
    clearTimeout(timer)
    return verdict(page, steps, place)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const verdict = (page: Page, steps: ReadonlyArray<Step>, place: string): string => {
  const fileOf = (name: string): string =>
    existsSync(join(place, name)) ? readFileSync(join(place, name), "utf8") : ""
  const [at = "", code = ""] = fileOf("result").trim().split(" ")
  if (at === "") {
    const last = steps.findLastIndex((_, i) => fileOf(`${i}.out`) !== "")
    const line = steps[last]?.line ?? 0
    return `${page.path}:${line}: took too long; the last that was printed:\n${fileOf(`${last}.out`)}`
  }
  if (at !== "end") {
    const step = steps[Number(at)]!
    const how =
      step.kind === "fails" ? "ended well" : step.kind === "background" ? "did not become ready" : `ended with ${code}`
    return `${page.path}:${step.line}: ${how}\n${step.text}\n\n${fileOf(`${at}.out`)}`
  }
  for (const [i, step] of steps.entries()) {
    if (step.kind !== "output") continue
    const wrong = unlike(step.text, fileOf(`${steps.findLastIndex((one, k) => k < i && one.kind !== "output")}.out`))
    if (wrong !== undefined) return `${page.path}:${step.line}: ${wrong}`
  }
  return ""
}
