import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { makeFolder } from "../../src/layers/internal/makeFolder.ts"

describe("making a folder with its parents", () => {
  it("makes what is missing, and nothing when all is there", () => {
    const root = mkdtempSync(join(tmpdir(), "netsy-folder-"))
    makeFolder(join(root, "a/b/c"), 0o700)
    makeFolder(join(root, "a/b/c"), 0o700)
    assert.isTrue(existsSync(join(root, "a/b/c")))
    rmSync(root, { recursive: true })
  })

  it("says what the file system says where nothing can be made, instead of trying for ever", () => {
    assert.throws(() => makeFolder("/proc/nope/a", 0o700), /ENOENT.*\/proc\/nope/)
  })

  it("says so when a parent is a file", () => {
    const root = mkdtempSync(join(tmpdir(), "netsy-folder-"))
    writeFileSync(join(root, "file"), "")
    assert.throws(() => makeFolder(join(root, "file/a"), 0o700), /EEXIST|ENOTDIR/)
    rmSync(root, { recursive: true })
  })
})
