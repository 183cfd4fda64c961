/** The package, built and packed from this clone, in somebody's empty project. `make test-pack` installs it with npm. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { version } from "../../src/core/version.ts"
import { startDaemon } from "../support/daemon.ts"
import { etcdctl } from "../support/etcdctl.ts"
import { descriptions } from "./documented.ts"
import { checkTypes, copyPrograms, installByHand, readManifest, runProgram } from "./project.ts"
import { missing, needless, type Package, pointsNowhere } from "./references.ts"
import { makeTarball, pathWithNode, run, type Tarball } from "./tarball.ts"

const bytesMax = 3 << 20
const documents = new Set(["CHANGELOG.md", "LICENSE", "README.md", "bin/netsy", "package.json"])

const directory = mkdtempSync(join(tmpdir(), "netsy-pack-"))
const project = join(directory, "project")
const command = join(project, "node_modules/.bin/netsy")
let tarball: Tarball
let contents: Package

beforeAll(async () => {
  tarball = await makeTarball(directory)
  await installByHand(project, tarball)
  const { dependencies, optionalDependencies, peerDependencies } = readManifest()
  contents = {
    files: new Set(tarball.files),
    read: (path) => readFileSync(join(project, "node_modules/netsy", path), "utf8"),
    dependencies: new Set([dependencies, optionalDependencies, peerDependencies].flatMap((some) => Object.keys(some)))
  }
}, 120_000)

afterAll(() => rmSync(directory, { recursive: true, force: true }))

describe("the packed tarball", () => {
  it("has everything that its modules, types and maps name", () => {
    assert.isAbove(contents.files.size, 1000)
    assert.deepStrictEqual([...missing(contents), ...pointsNowhere(contents)], [])
    const without = new Set([...contents.files].filter((file) => file !== "dist/core/version.js"))
    assert.isAbove(missing({ ...contents, files: without }).length, 0)
    assert.deepStrictEqual(pointsNowhere({ ...contents, files: new Set(["bin/netsy", "package.json"]) }).length, 5)
    assert.isAbove(missing({ ...contents, dependencies: new Set(["effect"]) }).length, 0)
  })
  it("has nothing else, no tests and no tools, and is small", () => {
    assert.deepStrictEqual(needless(contents, documents), [])
    const stray = ["test/a.test.ts", "temp/data/db.sqlite3", "dist/core/old.js", "src/core/new.ts"]
    assert.deepStrictEqual(needless({ ...contents, files: new Set([...contents.files, ...stray]) }, documents), stray)
    assert.isBelow(tarball.bytes, bytesMax)
  })
})

describe("the public API", () => {
  it("has a description for each of its names", () => {
    const { complaints, count } = descriptions(contents, "dist/index.d.ts")
    assert.isAbove(count, 10)
    assert.deepStrictEqual(complaints, [])
  })
  it("is found through every kind of export, and what has no description is named", () => {
    const texts: Record<string, string> = {
      "dist/index.d.ts": 'export { type A, b as c } from "./x.ts";\nexport * as d from "./y.ts";\n',
      "dist/x.d.ts":
        "/** Said. */\nexport interface A {\n}\nexport declare const b = 1;\nexport declare const e = 1;\n",
      "dist/y.d.ts": 'export * from "./z.js";\n',
      "dist/z.d.ts": "/** Said. */\nexport declare const f = 1;\nexport type f = 1;\nexport declare class G {\n}\n"
    }
    const { complaints, count } = descriptions({ ...contents, read: (path) => texts[path] ?? "" }, "dist/index.d.ts")
    assert.strictEqual(count, 4)
    assert.deepStrictEqual(complaints, ["dist/x.d.ts: b has no description", "dist/z.d.ts: G has no description"])
  })
})

describe("in an empty project", () => {
  it("programs compile against the types, strictly", async () => {
    copyPrograms(project)
    await checkTypes(project, "node")
  }, 120_000)
  it("a program runs with a node in it", async () => {
    copyPrograms(project)
    assert.strictEqual(await runProgram(project), "hello true\n")
  }, 60_000)
  it("the command netsy says its version, under the name etcd as etcd does", async () => {
    assert.include(await run(command, ["--version"], { cwd: project }), version)
    symlinkSync(command, join(project, "etcd"))
    assert.include(await run(join(project, "etcd"), ["--version"], { cwd: project }), "etcd Version")
  })
  it("the command netsy says which Node it needs when there is none or an old one", async () => {
    const bin = join(directory, "bin")
    mkdirSync(bin)
    for (const [printed, said] of Object.entries({ "v20.20.2": "v20.20.2", "v22.18.0": "v22.18.0", "": "none" })) {
      writeFileSync(join(bin, "node"), `#!/bin/sh\n[ -n "${printed}" ] && echo "${printed}"\n`, { mode: 0o755 })
      const env = { PATH: `${bin}:/usr/bin:/bin` }
      const failure = await run(command, ["--version"], { cwd: project, env }).catch((error: Error) => error.message)
      assert.include(failure, `netsy: needs Node 22.19 or newer and found ${said}.`)
    }
  })
  it("the command netsy starts a node that etcdctl writes to", async () => {
    const daemon = await startDaemon({ executable: command, env: { PATH: pathWithNode } })
    try {
      assert.strictEqual((await etcdctl(daemon, ["put", "a", "1"])).stdout, "OK\n")
      assert.strictEqual((await etcdctl(daemon, ["get", "a"])).stdout, "a\n1\n")
      assert.strictEqual(await daemon.stop(), 0)
    } finally {
      await daemon.release()
    }
  }, 60_000)
})
