/** One executable: Node with the program as its single executable application. */
import { execFileSync } from "node:child_process"
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { inject } from "postject"
import { mainLauncher } from "./inside/launcher.ts"
import { lockedPackage, nodePackage } from "./packages.ts"
import { root } from "./project.ts"

/** As npm names it. */
export type Arch = "x64" | "arm64"

/** Where Node looks for the mark that it carries a program. */
const sentinelFuse = "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2"

/** Made for glibc, as Node is. */
const addonsFor = (arch: Arch): Readonly<Record<string, string>> => ({
  "better_sqlite3.node": join(root, `node_modules/better-sqlite3/prebuilds/linux-${arch}.node`),
  "bcrypt.node": join(root, `node_modules/bcrypt/prebuilds/linux-${arch}/bcrypt.glibc.node`),
  "koffi.node": join(lockedPackage(`@koromix/koffi-linux-${arch}`), `linux_${arch}/koffi.node`)
})

/** The injector complains about empty names in Node's symbol table, once for each. */
const quietly = async (work: () => Promise<void>): Promise<void> => {
  const { warn } = console
  console.warn = (text: unknown) => {
    if (!String(text).includes("Can't find string offset for section name")) warn(text)
  }
  try {
    await work()
  } finally {
    console.warn = warn
  }
}

/** Written to `file`, with files of its own in `scratch`; `scripts`: the files of the assets. */
export const makeExecutable = async (
  arch: Arch,
  file: string,
  scratch: string,
  scripts: Readonly<Record<string, string>>
): Promise<void> => {
  const config = `${arch}.json`
  const blob = `${arch}.blob`
  // The name becomes part of the executable: no folder of this machine in it.
  const main = "netsy-start.js"
  writeFileSync(join(scratch, main), mainLauncher)
  writeFileSync(
    join(scratch, config),
    JSON.stringify({
      main,
      output: blob,
      disableExperimentalSEAWarning: true,
      execArgv: ["--disable-warning=ExperimentalWarning"],
      // No snapshot and no compiled code: those fit one kind of processor only.
      useSnapshot: false,
      useCodeCache: false,
      assets: { ...scripts, ...addonsFor(arch) }
    })
  )
  // The Node of this machine makes the data for every machine, since there is no compiled code in it.
  const here = join(nodePackage(`linux-${process.arch}`), "bin/node")
  execFileSync(here, ["--experimental-sea-config", config], { cwd: scratch, stdio: ["ignore", "ignore", "pipe"] })
  copyFileSync(join(nodePackage(`linux-${arch}`), "bin/node"), file)
  await quietly(() => inject(file, "NODE_SEA_BLOB", readFileSync(join(scratch, blob)), { sentinelFuse }))
  chmodSync(file, 0o755)
}
