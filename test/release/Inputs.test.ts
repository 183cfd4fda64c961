/** What `make release` is made of is there and pinned, seen without building: a new Node's sums are not forgotten. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { nodeVersion } from "../../scripts/release/project.ts"
import { project } from "./support/files.ts"

describe("a release", () => {
  it("knows the sums of the pinned Node for both kinds of machines", () => {
    const packages = readFileSync(join(project, "scripts/release/packages.ts"), "utf8")
    for (const machine of ["x64", "arm64"]) {
      assert.match(packages, new RegExp(`"node-linux-${machine}@${nodeVersion()}":\\s+"sha512-[\\w+/]{86}=="`))
    }
  })

  it("finds the native libraries of both kinds of machines", () => {
    const lock = readFileSync(join(project, "package-lock.json"), "utf8")
    for (const arch of ["x64", "arm64"]) {
      const modules = join(project, "node_modules")
      assert.isTrue(existsSync(join(modules, `better-sqlite3/prebuilds/linux-${arch}.node`)), arch)
      assert.isTrue(existsSync(join(modules, `bcrypt/prebuilds/linux-${arch}/bcrypt.glibc.node`)), arch)
      assert.include(lock, `node_modules/@koromix/koffi-linux-${arch}`)
    }
  })
})
