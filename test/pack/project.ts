/** Somebody's empty project, and the package in it. */
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { root, run, type Tarball } from "./tarball.ts"

/** What the project itself has, besides Netsy: the same versions as this clone. */
const ownPackages = ["@types/node", "effect", "typescript"] as const

export interface Manifest {
  readonly bin: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
  /** The program's own copy is used: two of `effect` would not know each other's services. */
  readonly peerDependencies: Readonly<Record<string, string>>
  readonly optionalDependencies: Readonly<Record<string, string>>
}

export const readManifest = (): Manifest => JSON.parse(readFileSync(join(root, "package.json"), "utf8"))

/** `name@version` of the project's own packages, for npm. */
export const ownVersions = (): ReadonlyArray<string> =>
  ownPackages.map((name) => {
    const { version } = JSON.parse(readFileSync(join(root, "node_modules", name, "package.json"), "utf8"))
    return `${name}@${version}`
  })

const ownProgram = "test/pack/program.ts"

/** The examples and a program of these tests, which import the package by its name. */
export const copyPrograms = (project: string): void => {
  const examples = readdirSync(join(root, "examples")).filter((name) => name.endsWith(".ts"))
  for (const path of [ownProgram, ...examples.map((name) => join("examples", name))]) {
    copyFileSync(join(root, path), join(project, basename(path)))
  }
}

/** A node on a directory of its own; what the program prints. */
export const runProgram = (project: string, env: Readonly<Record<string, string>> = {}): Promise<string> => {
  const directory = mkdtempSync(join(project, "data-"))
  return run("node", [basename(ownProgram), directory], { cwd: project, env })
}

const compilerOptions = {
  target: "ES2023",
  // DOM: effect's own types name CryptoKey.
  lib: ["ES2024", "ESNext.Disposable", "DOM"],
  types: ["node"],
  noEmit: true,
  strict: true,
  // The packages' own types are checked too, with the options that complain most.
  skipLibCheck: false,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  verbatimModuleSyntax: true
}

export const makeEmptyProject = (directory: string): void => {
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, "package.json"), '{ "private": true, "type": "module" }\n')
}

const link = (project: string, name: string): void => {
  const path = join(project, "node_modules", name)
  mkdirSync(dirname(path), { recursive: true })
  symlinkSync(join(root, "node_modules", name), path)
}

/**
 * Puts the package where npm would. Of other packages only those are in the project that package.json names, and none of
 * the optional ones: a module that needs another one fails.
 */
export const installByHand = async (project: string, tarball: Tarball): Promise<void> => {
  makeEmptyProject(project)
  const { bin, dependencies, peerDependencies } = readManifest()
  const named = [dependencies, peerDependencies].flatMap((some) => Object.keys(some))
  for (const name of new Set([...named, ...ownPackages])) link(project, name)
  const target = join(project, "node_modules/netsy")
  mkdirSync(target)
  await run("tar", ["-xzf", tarball.path, "--strip-components=1", "-C", target], { cwd: project })
  mkdirSync(join(project, "node_modules/.bin"))
  for (const [name, path] of Object.entries(bin)) {
    symlinkSync(join("../netsy", path), join(project, "node_modules/.bin", name))
  }
}

/** Checks the types of all `.ts` files of the project, as a project for Node does it or as one for a bundler. */
export const checkTypes = async (project: string, kind: "node" | "bundler"): Promise<void> => {
  const own =
    kind === "node"
      ? { module: "NodeNext" }
      : { module: "Preserve", moduleResolution: "Bundler", esModuleInterop: true }
  const files = readdirSync(project).filter((name) => name.endsWith(".ts"))
  const config = { compilerOptions: { ...compilerOptions, ...own }, files }
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify(config))
  await run(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "."], { cwd: project })
}
