import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { allVariables, fileKeys, nodeVariables } from "../../src/core/config/fields.ts"
import { findFlag } from "../../src/core/config/etcd/flagTable.ts"
import { helpText } from "../../src/core/config/flags.ts"
import { catalog } from "../../src/core/metrics/catalog.ts"
import { resolveSettings } from "../../src/core/config/resolve.ts"

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8")

describe("the documents", () => {
  it("docs/configuration.md names every key, variable and flag, and no variable that does not exist", () => {
    const text = read("docs/configuration.md")
    for (const name of [...fileKeys, ...nodeVariables, ...(helpText.match(/--[a-z]+/g) ?? [])]) {
      assert.include(text, `\`${name}`, name)
    }
    for (const name of text.match(/NETSY_[A-Z_]+[A-Z]/g) ?? []) {
      assert.isTrue(
        allVariables.some((known) => known.startsWith(name)),
        name
      )
    }
  })

  it("docs/etcd-mode.md names no flag and no variable that does not exist", () => {
    const text = read("docs/etcd-mode.md")
    for (const [, name] of text.matchAll(/--([a-z][a-z-]*[a-z])(?![a-z-]|-?…)/g)) {
      assert.isTrue(helpText.includes(`--${name}`) || findFlag(name!) !== undefined, name)
    }
    for (const [name] of text.matchAll(/ETCD_[A-Z_]+[A-Z]/g)) {
      assert.isDefined(findFlag(name.slice(5).toLowerCase().replaceAll("_", "-")), name)
    }
    for (const [name] of text.matchAll(/NETSY_[A-Z_]+[A-Z]/g)) {
      assert.isTrue(
        allVariables.some((known) => known.startsWith(name)),
        name
      )
    }
  })

  it("docs/operations.md names every metric that is always there", () => {
    const text = read("docs/operations.md")
    for (const { name } of Object.values(catalog)) assert.include(text, `\`${name}\``)
  })

  it("the sample configuration is valid", () => {
    const resolved = resolveSettings({
      argv: ["--validate", "examples/config.jsonc"],
      env: { NETSY_NODE_ID: "dev-node-1" },
      cwd: "/",
      readFile: (path) => read(path.slice(1))
    })
    assert.deepStrictEqual([resolved.ok, resolved.warnings], [true, []])
  })
})
