/** The packed tarball installed by npm itself, packages from the registry: `make test-pack`. Minutes, and some 200 MB. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { version } from "../../src/core/version.ts"
import { type Daemon, startDaemon } from "../support/daemon.ts"
import { etcdctl } from "../support/etcdctl.ts"
import { checkTypes, copyPrograms, makeEmptyProject, ownVersions, runProgram } from "./project.ts"
import { makeTarball, pathWithNode, run } from "./tarball.ts"

const minutes = 60_000
const npmOptions = ["--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"]
/** The oldest Node that package.json allows; npm has it as a package for these machines. */
const oldestNode = "22.19.0"

const directory = mkdtempSync(join(tmpdir(), "netsy-install-"))
const project = join(directory, "project")
const command = join(project, "node_modules/.bin/netsy")

const npm = (args: ReadonlyArray<string>, cwd: string): Promise<string> =>
  run("npm", [...args, ...npmOptions], { cwd, timeoutMillis: 10 * minutes })

beforeAll(async () => {
  const tarball = await makeTarball(directory)
  makeEmptyProject(project)
  // Without packages' install scripts: nothing can be compiled or fetched from elsewhere than the registry.
  await npm(["install", "--ignore-scripts", tarball.path, ...ownVersions()], project)
  copyPrograms(project)
}, 12 * minutes)

afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** What needs both native addons: a database, and a password's hash. */
const serves = async (path: string): Promise<void> => {
  const daemon: Daemon = await startDaemon({ executable: command, env: { PATH: path } })
  try {
    assert.strictEqual((await etcdctl(daemon, ["put", "a", "1"])).stdout, "OK\n")
    assert.strictEqual((await etcdctl(daemon, ["get", "a"])).stdout, "a\n1\n")
    assert.strictEqual((await etcdctl(daemon, ["user", "add", "root:secret"])).stdout, "User root created\n")
    assert.strictEqual(await daemon.stop(), 0)
  } finally {
    await daemon.release()
  }
}

describe("installed by npm without any install script", () => {
  it("npx netsy says its version", async () => {
    assert.strictEqual(await run("npx", ["--no-install", "netsy", "--version"], { cwd: project }), `netsy ${version}\n`)
  }, 60_000)
  it("a node serves, with the native addons that came with the packages", () => serves(pathWithNode), 60_000)
  it("a program for Node and one for a bundler compile against the types", async () => {
    await checkTypes(project, "node")
    await checkTypes(project, "bundler")
  }, 120_000)
  it("a program runs with a node in it", async () => {
    assert.strictEqual(await runProgram(project), "hello true\n")
  }, 60_000)
  it("the addon that is only for systemd is there too", async () => {
    await run("node", ["--input-type=module", "-e", 'await import("koffi")'], { cwd: project })
  })
  it(`all of it runs under Node ${oldestNode}`, async () => {
    const old = join(directory, "node")
    makeEmptyProject(old)
    const name = `node-linux-${process.arch}`
    await npm(["install", `${name}@${oldestNode}`], old)
    const path = `${join(old, "node_modules", name, "bin")}:/usr/bin:/bin`
    assert.strictEqual((await run("node", ["--version"], { cwd: old, env: { PATH: path } })).trim(), `v${oldestNode}`)
    await serves(path)
    assert.strictEqual(await runProgram(project, { PATH: path }), "hello true\n")
  }, 180_000)
})
