/**
 * `make release`: one executable a machine, and their SHA-512 sums, in dist/release. Node's single executable: the Node
 * of scripts/dev/node.sh with the bundled program, its thread and the native libraries as assets.
 */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { brotliCompressSync } from "node:zlib"
import { inject } from "postject"
import { bundle } from "./bundle.ts"
import { mainLauncher } from "./inside/launcher.ts"
import { lockedPackage, nodePackage } from "./packages.ts"
import { commitStamp, outputFolder, root } from "./project.ts"

/** Names as in downloads, and as in npm. */
const machines = [
  { name: "amd64", node: "x64" },
  { name: "arm64", node: "arm64" }
] as const

const step = (text: string): void => void process.stderr.write(`==> ${text}\n`)

const addonsFor = (arch: string): Readonly<Record<string, string>> => ({
  "better_sqlite3.node": join(root, `node_modules/better-sqlite3/prebuilds/linux-${arch}.node`),
  "bcrypt.node": join(root, `node_modules/bcrypt/prebuilds/linux-${arch}/bcrypt.glibc.node`),
  "koffi.node": join(lockedPackage(`@koromix/koffi-linux-${arch}`), `linux_${arch}/koffi.node`)
})

const build = async (): Promise<void> => {
  mkdirSync(outputFolder, { recursive: true })
  const scratch = mkdtempSync(join(outputFolder, ".building-"))
  const put = (name: string, bytes: string | Uint8Array): string => {
    writeFileSync(join(scratch, name), bytes)
    return join(scratch, name)
  }
  try {
    const commit = commitStamp()
    step(`bundling (commit ${commit})`)
    const program = await bundle("main.ts", "netsy.js", commit)
    const worker = await bundle("worker.ts", "netsy-worker.js", commit)
    const scripts = {
      "netsy.js": put("netsy.js", program.script),
      "netsy-worker.js": put("netsy-worker.js", worker.script),
      "netsy.js.map": put("netsy.js.map", brotliCompressSync(program.map)),
      "netsy-worker.js.map": put("netsy-worker.js.map", brotliCompressSync(worker.map))
    }
    const main = put("main.js", mainLauncher)
    const here = join(nodePackage(`linux-${process.arch}`), "bin/node")
    const sums: Array<string> = []
    for (const { name, node } of machines) {
      step(`netsy-linux-${name}`)
      const blob = join(scratch, `${name}.blob`)
      const config = put(
        `${name}.json`,
        JSON.stringify({
          main,
          output: blob,
          disableExperimentalSEAWarning: true,
          execArgv: ["--disable-warning=ExperimentalWarning"],
          assets: { ...scripts, ...addonsFor(node) }
        })
      )
      execFileSync(here, ["--experimental-sea-config", config], { stdio: ["ignore", "ignore", "inherit"] })
      const file = join(scratch, `netsy-linux-${name}`)
      copyFileSync(join(nodePackage(`linux-${node}`), "bin/node"), file)
      await inject(file, "NODE_SEA_BLOB", readFileSync(blob), {
        sentinelFuse: "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2"
      })
      chmodSync(file, 0o755)
      sums.push(`${createHash("sha512").update(readFileSync(file)).digest("hex")}  netsy-linux-${name}\n`)
      renameSync(file, join(outputFolder, `netsy-linux-${name}`))
    }
    writeFileSync(join(outputFolder, "SHA512SUMS"), sums.join(""))
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

await build()
