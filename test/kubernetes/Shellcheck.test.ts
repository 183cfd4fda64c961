/** Every shell script of the project is one that shellcheck has nothing to say about. */
import { execFileSync, spawnSync } from "node:child_process"
import { existsSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { root } from "./support/clone.ts"

const tracked: ReadonlyArray<string> = execFileSync(
  "git",
  ["ls-files", "--cached", "--others", "--exclude-standard", "-z"],
  { cwd: root, encoding: "utf8" }
)
  .split("\0")
  .filter((path) => path !== "" && existsSync(join(root, path)))

const isShell = /^#!\s*\S*(?:\/env\s+(?:-S\s+)?|\/)(?:ba|da|k)?sh\b|^# shellcheck shell=/
/** By their first line, whatever they are called; a sourced file says there which shell it is for. */
const scripts = tracked.filter((path) => {
  const file = join(root, path)
  return statSync(file).isFile() && isShell.test(readFileSync(file).subarray(0, 100).toString("latin1"))
})

const shellcheck = (args: ReadonlyArray<string>, input = "") => {
  const { error, status, stdout } = spawnSync("shellcheck", [...args], { cwd: root, encoding: "utf8", input })
  if (error !== undefined) throw new Error(`shellcheck (Debian: apt-get install shellcheck): ${error.message}`)
  return { status, stdout }
}

describe("the shell scripts", () => {
  it("are found by their first line", () => {
    for (const path of [
      ".ci/run",
      "bin/netsy",
      "scripts/dev/node.sh",
      "scripts/git-hooks/pre-commit",
      "scripts/kubernetes/kube-apiserver.sh"
    ]) {
      assert.include(scripts, path)
    }
    assert.isFalse(isShell.test("#!/usr/bin/env node\n"))
    assert.isTrue(isShell.test("#!/usr/bin/env bash\n"))
    // One without a first line would be checked by nobody.
    assert.deepStrictEqual(
      tracked.filter((path) => path.endsWith(".sh") && !scripts.includes(path)),
      []
    )
  })

  it("pass shellcheck, notes included", () => {
    const { status, stdout } = shellcheck(["--format=gcc", ...scripts])
    assert.strictEqual(stdout, "")
    assert.strictEqual(status, 0)
  })

  it("would not pass with a variable that is not quoted", () => {
    const { status, stdout } = shellcheck(["--format=gcc", "-"], "#!/bin/sh\nrm -rf $1\n")
    assert.include(stdout, "SC2086")
    assert.strictEqual(status, 1)
  })

  it("can be executed, except those that are sourced", () => {
    const sourced = scripts.filter((path) => readFileSync(join(root, path), "utf8").startsWith("# shellcheck shell="))
    const rest = scripts.filter((path) => !sourced.includes(path))
    assert.deepStrictEqual(
      rest.filter((path) => (statSync(join(root, path)).mode & 0o111) === 0),
      []
    )
    assert.deepStrictEqual(
      sourced.filter((path) => (statSync(join(root, path)).mode & 0o111) !== 0),
      []
    )
  })
})
