/**
 * Adds to package-lock.json what a registry that lacks some platforms left out: optional binaries that a package names.
 * npm ci refuses a lock file in which they are missing, even on platforms that never install them.
 * Run after npm install when `npm ci` says "Missing: … from lock file": node scripts/dev/completeLock.ts
 */
import { readFileSync, writeFileSync } from "node:fs"

interface LockedPackage {
  version?: string
  dev?: boolean
  optional?: boolean
  peer?: boolean
  os?: Array<string>
  cpu?: Array<string>
  libc?: Array<string>
  optionalDependencies?: Record<string, string>
}

const systems = ["android", "darwin", "freebsd", "linux", "openharmony", "win32"]
const processors = ["arm64", "arm", "x64", "ia32", "ppc64", "riscv64", "s390x"]

/** What "…-linux-arm64-musl" says about where the package runs; undefined when the name does not say it. */
const platformOf = (name: string): Pick<LockedPackage, "os" | "cpu" | "libc"> | undefined => {
  const words = name.split(/[-/]/)
  const os = systems.find((system) => words.includes(system))
  const cpu = processors.find((processor) => words.includes(processor))
  if (os === undefined || cpu === undefined) return undefined
  if (os !== "linux") return { os: [os], cpu: [cpu] }
  const libc = words.some((word) => word.startsWith("musl"))
    ? "musl"
    : words.some((word) => word.startsWith("gnu"))
      ? "glibc"
      : undefined
  return { os: [os], cpu: [cpu], ...(libc === undefined ? {} : { libc: [libc] }) }
}

const path = new URL("../../package-lock.json", import.meta.url)
const lock = JSON.parse(readFileSync(path, "utf8")) as { packages: Record<string, LockedPackage> }

for (const [parent, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`
    if (lock.packages[key] !== undefined) continue
    const platform = platformOf(name)
    if (platform === undefined || !/^\d+\.\d+\.\d+/.test(version)) {
      console.error(
        `${parent} wants ${name}@${version}, which is not in the lock file and cannot be derived from its name`
      )
      process.exitCode = 1
      continue
    }
    lock.packages[key] = {
      version,
      optional: true,
      ...(entry.dev === true ? { dev: true } : {}),
      ...(entry.peer === true ? { peer: true } : {}),
      ...platform
    }
    console.log(`added ${name}@${version}`)
  }
}

const names = Object.keys(lock.packages).sort((a, b) => a.localeCompare(b, "en"))
lock.packages = Object.fromEntries(names.map((name) => [name, lock.packages[name]!]))
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`)
