/** The package as it would be published: this clone's files, copied, built and packed by npm. */
import { execFile } from "node:child_process"
import { cpSync, mkdirSync, readFileSync, symlinkSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

export const root = fileURLToPath(new URL("../..", import.meta.url))

/** What a build and a package are made of. A copy: the developer's own dist/ is neither used nor changed. */
const ingredients = [
  "CHANGELOG.md",
  "LICENSE",
  "README.md",
  "bin",
  "package.json",
  "scripts/build",
  "src",
  "tsconfig.build.json",
  "tsconfig.json"
]

/** Runs a program to its end with this test's Node first in PATH; what it prints comes with the error when it fails. */
export const run = async (
  file: string,
  args: ReadonlyArray<string>,
  options: { readonly cwd: string; readonly env?: Readonly<Record<string, string>>; readonly timeoutMillis?: number }
): Promise<string> => {
  const env = { ...process.env, PATH: pathWithNode, ...options.env }
  try {
    const limits = { timeout: options.timeoutMillis ?? 120_000, maxBuffer: 64 << 20 }
    const { stdout } = await promisify(execFile)(file, [...args], { cwd: options.cwd, env, ...limits })
    return stdout
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { readonly stdout?: string; readonly stderr?: string }
    throw new Error(`${file} ${args.join(" ")} failed in ${options.cwd}\n${stdout}${stderr}`, { cause: error })
  }
}

export const pathWithNode = `${dirname(process.execPath)}:${process.env["PATH"]}`

export interface Tarball {
  readonly path: string
  readonly bytes: number
  /** Paths inside the package. */
  readonly files: ReadonlyArray<string>
}

/** Builds and packs below `directory`. */
export const makeTarball = async (directory: string): Promise<Tarball> => {
  const staged = join(directory, "staged")
  for (const one of ingredients) {
    mkdirSync(dirname(join(staged, one)), { recursive: true })
    cpSync(join(root, one), join(staged, one), { recursive: true })
  }
  symlinkSync(join(root, "node_modules"), join(staged, "node_modules"))
  await run("scripts/build/build.sh", [], { cwd: staged })
  await run("npm", ["pack", "--ignore-scripts", "--offline", "--pack-destination", directory], { cwd: staged })
  const { name, version } = JSON.parse(readFileSync(join(staged, "package.json"), "utf8"))
  const path = join(directory, `${name}-${version}.tgz`)
  const listed = await run("tar", ["-tzf", path], { cwd: directory })
  const files = listed
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.replace(/^package\//, ""))
  return { path, bytes: readFileSync(path).length, files }
}
