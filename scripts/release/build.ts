/** `make release`: an executable for each kind of machine, their SHA-512 sums and the licences, in dist/release. */
import { createHash } from "node:crypto"
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { brotliCompressSync } from "node:zlib"
import { bundle } from "./bundle.ts"
import { type Arch, makeExecutable } from "./executable.ts"
import { licenses } from "./licenses.ts"
import { commitStamp, outputFolder } from "./project.ts"

const files: Readonly<Record<string, Arch>> = { "netsy-linux-amd64": "x64", "netsy-linux-arm64": "arm64" }

const say = (text: string): void => void process.stderr.write(`${text}\n`)
const sha512 = (file: string): string => createHash("sha512").update(readFileSync(file)).digest("hex")

/** Of everything in dist/release nothing is half-written: it is made in a folder beside and moved at the end. */
const build = async (scratch: string): Promise<void> => {
  const put = (name: string, bytes: string | Uint8Array): string => {
    writeFileSync(join(scratch, name), bytes)
    return join(scratch, name)
  }
  const commit = commitStamp()
  say(`==> bundling the program of commit ${commit}`)
  const program = await bundle("scripts/release/inside/main.ts", "netsy.js", commit)
  const worker = await bundle("src/layers/localstore/worker.ts", "netsy-worker.js", commit)
  const scripts = {
    "netsy.js": put("netsy.js", program.script),
    "netsy.js.map": put("netsy.js.map", brotliCompressSync(program.map)),
    "netsy-worker.js": put("netsy-worker.js", worker.script),
    "netsy-worker.js.map": put("netsy-worker.js.map", brotliCompressSync(worker.map))
  }
  let sums = ""
  for (const [name, arch] of Object.entries(files)) {
    say(`==> ${name}`)
    const file = join(scratch, name)
    await makeExecutable(arch, file, scratch, scripts)
    sums += `${sha512(file)}  ${name}\n`
  }
  put("SHA512SUMS", sums)
  // Of koffi there is the native part alone, which no bundler sees.
  const packages = new Set(["node_modules/koffi", ...program.packages, ...worker.packages])
  put("LICENSES.txt", licenses([...packages].toSorted()))
  for (const name of [...Object.keys(files), "LICENSES.txt", "SHA512SUMS"]) {
    renameSync(join(scratch, name), join(outputFolder, name))
  }
}

mkdirSync(outputFolder, { recursive: true })
const scratch = mkdtempSync(join(outputFolder, ".building-"))
try {
  await build(scratch)
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
process.stdout.write(readFileSync(join(outputFolder, "SHA512SUMS"), "utf8"))
