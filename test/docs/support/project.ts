/** The project as its documents may speak of it: its files, its pages, the names that exist. */
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { flagNames } from "../../../src/core/config/etcd/flagTable.ts"
import { allVariables, fileGroups, fileKeys } from "../../../src/core/config/fields.ts"
import { type Page, parsePage } from "./page.ts"

export const root = fileURLToPath(new URL("../../..", import.meta.url))

export const read = (path: string): string => readFileSync(join(root, path), "utf8")

/** Tracked files and new ones that are not ignored; links to somebody else's packages count as ignored. */
export const files: ReadonlyArray<string> = execFileSync(
  "git",
  ["ls-files", "--cached", "--others", "--exclude-standard", "-z"],
  { cwd: root, encoding: "utf8" }
)
  .split("\0")
  .filter((path) => !["", "node_modules", ".toolchain"].includes(path) && existsSync(join(root, path)))

export const pages: ReadonlyArray<Page> = files
  .filter((path) => path.endsWith(".md"))
  .map((path) => parsePage(path, read(path)))

export interface Names {
  /** Is there such a file or directory, or one that fits the pattern? Also those that a build or a start makes. */
  readonly path: (path: string) => boolean
  readonly target: (name: string) => boolean
  readonly variable: (name: string) => boolean
  readonly key: (key: string) => boolean
  readonly flag: (name: string) => boolean
}

const directories = new Set(
  files.flatMap((path) => path.split("/").flatMap((_, i, parts) => (i === 0 ? [] : [parts.slice(0, i).join("/")])))
)
const paths = new Set([...files, ...directories])

const patternOf = (glob: string): RegExp =>
  new RegExp(
    `^${glob
      .replaceAll(/[.+?^$()|[\]\\]/g, "\\$&")
      .replaceAll(/\{([^}]*)\}/g, (_, words: string) => `(?:${words.replaceAll(",", "|")})`)
      .replaceAll("**", "\0")
      .replaceAll("*", "[^/]*")
      .replaceAll("\0", ".*")}$`
  )

const makefile = read("Makefile")
const targets = new Set([...makefile.matchAll(/^([a-z0-9-]+):/gm)].map((match) => match[1]))

/** Of everything that can read a variable or a flag, documents aside. */
const code = files
  .filter((path) => /^(?:src|scripts|test|deploy|images|examples|bin|\.ci)\/|^Makefile$/.test(path))
  .filter((path) => !path.endsWith(".md") && !path.startsWith("test/docs/"))
  .map((path) => read(path))
  .join("\n")
const variables = new Set([...allVariables, ...[...code.matchAll(/\bNETSY_[A-Z0-9_]*[A-Z0-9]/g)].map(([name]) => name)])
const flags = new Set([
  ...flagNames,
  ...[...code.matchAll(/(?<![\w-])--([a-z][a-z0-9-]*)/g)].map((match) => match[1]!),
  // Declared with Effect's `Flag.string("endpoints")` and its like.
  ...[...code.matchAll(/\bFlag\.[a-zA-Z]+\(\s*"([a-z][a-z0-9-]*)"/g)].map((match) => match[1]!)
])
const known = new Set<string>([...fileKeys, ...fileGroups])

export const names: Names = {
  path: (path) => {
    const bare = path.replace(/\/$/, "")
    if (paths.has(bare)) return true
    const pattern = patternOf(bare)
    return /[*{]/.test(bare) && [...paths].some((candidate) => pattern.test(candidate))
  },
  target: (name) => targets.has(name),
  variable: (name) =>
    name.endsWith("_") ? [...variables].some((known) => known.startsWith(name)) : variables.has(name),
  key: (key) => known.has(key),
  flag: (name) => flags.has(name)
}
