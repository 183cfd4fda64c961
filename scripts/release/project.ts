/** Where things are, and what the project says about itself. */
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

export const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "")
export const outputFolder = join(root, "dist/release")

export const read = (path: string): string => readFileSync(join(root, path), "utf8")

/** What scripts/dev/node.sh pins. */
export const nodeVersion = (): string => {
  const found = /^PRIVATE_NODE_VERSION=(\S+)$/m.exec(read("scripts/dev/node.sh"))
  if (found === null) throw new Error("scripts/dev/node.sh has no line PRIVATE_NODE_VERSION=")
  return found[1]!
}

/** The commit that is checked out; "+changes" when a file that the executable is made of differs from it. */
export const commitStamp = (): string => {
  const git = (...words: ReadonlyArray<string>): string =>
    execFileSync("git", words, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim()
  try {
    const commit = git("rev-parse", "--short=12", "HEAD")
    const madeOf = ["src", "scripts/release", "scripts/dev/node.sh", "package.json", "package-lock.json"]
    return git("status", "--porcelain", "--", ...madeOf) === "" ? commit : `${commit}+changes`
  } catch {
    return "unknown"
  }
}
