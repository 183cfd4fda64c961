/** What the pages say about settings is what the program does with them. */
import { parse } from "jsonc-parser"
import { assert, describe, it } from "@effect/vitest"
import { partsOf } from "../../scripts/docs/markdown.ts"
import { generated, parts } from "../../scripts/docs/parts.ts"
import { FlagReading } from "../../src/core/config/etcd/flagReading.ts"
import { findFlag } from "../../src/core/config/etcd/flagTable.ts"
import { flagsOfKeys, putKeys } from "../../src/core/config/etcd/netsyKeys.ts"
import { fileKeys } from "../../src/core/config/fields.ts"
import { Reading } from "../../src/core/config/reading.ts"
import { resolveSettings } from "../../src/core/config/resolve.ts"
import type { Setting } from "../../src/core/config/settingKinds.ts"
import { settingTable } from "../../src/core/config/settingTable.ts"
import { defaultStoreLeaseMillis } from "../../src/core/election/arbiter.ts"
import { pages, read } from "./support/project.ts"

const sample = "examples/config.jsonc"

const leaves = (value: unknown, path: string): ReadonlyArray<readonly [key: string, value: unknown]> =>
  typeof value === "object" && value !== null
    ? Object.entries(value).flatMap(([name, inner]) => leaves(inner, path === "" ? name : `${path}.${name}`))
    : [[path, value]]

/** Keys and values of the sample, those that are commented out too. */
const keysOf = (text: string): ReadonlyMap<string, unknown> =>
  new Map(leaves(parse(text, [], { allowTrailingComma: true }), ""))
const withComments = (text: string): string => text.replaceAll(/^(\s*)\/\/ ("[a-z_]+":.*,)$/gm, "$1$2")

describe("the reference", () => {
  for (const path of Object.keys(parts)) {
    it(`${path} is up to date: make reference writes it`, () => {
      assert.strictEqual(read(path), generated(path, read(path)))
    })
  }
  it("has no generated part that nothing generates", () => {
    for (const { path } of pages) {
      for (const part of partsOf(read(path))) assert.isDefined(parts[path]?.[part], `${path}: ${part}`)
    }
  })
  it("fails when a part is missing, or is not what the program says", () => {
    const path = "docs/configuration.md"
    assert.throws(() => generated(path, "# Configuration\n"))
    const old = read(path).replace("| `snapshot.keep`", "| `snapshot.kept`")
    assert.notStrictEqual(generated(path, old), old)
  })
  it("names for a key the flag of netsy etcd that sets it", () => {
    const values: Readonly<Record<string, string>> = { bool: "false", duration: "7s", uint: "7", int: "7" }
    for (const [flag, key] of flagsOfKeys) {
      const text = values[findFlag(flag)!.spec.kind] ?? "7"
      const more = flag === "election-timeout" ? { "election-timeout": "7000" } : { [flag]: text }
      const reading = new Reading(new Map(), {}, true)
      putKeys(
        new FlagReading(new Map(Object.entries(more).map(([name, text]) => [name, { text, source: "test" }]))),
        reading
      )
      assert.strictEqual(reading.given(key)?.source, "test", `${flag} ${key}`)
    }
  })
  it("names the default store lease of every store", () => {
    const setting = settingTable.find(({ key }) => key === "replication.store_lease")
    const seconds = (provider: string, alone = false): number => defaultStoreLeaseMillis(provider, alone) / 1_000
    assert.strictEqual(
      setting !== undefined && "usually" in setting ? String(setting.usually) : "",
      `\`${seconds("s3")}s\` on S3, \`${seconds("gcs")}s\` on GCS, \`${seconds("directory")}s\` on a directory, ` +
        `\`${seconds("s3", true)}s\` for a lone node on S3 or GCS`
    )
  })
})

describe("the sample configuration", () => {
  it("is valid, with and without what is commented out", () => {
    for (const text of [read(sample), withComments(read(sample))]) {
      const resolved = resolveSettings({
        argv: ["--validate", sample],
        env: { NETSY_NODE_ID: "dev-node-1" },
        cwd: "/",
        readFile: () => text
      })
      const inactive = "storage.path has no effect with storage.provider s3"
      assert.deepStrictEqual(resolved.ok ? [] : resolved.problems, [])
      assert.deepStrictEqual(
        resolved.warnings.filter((warning) => warning !== inactive),
        []
      )
    }
  })
  it("has every key, and what is commented out is the default", () => {
    const active = keysOf(read(sample))
    const all = keysOf(withComments(read(sample)))
    assert.deepStrictEqual(Array.from(all.keys()).toSorted(), [...fileKeys].toSorted())
    for (const setting of settingTable as ReadonlyArray<Setting>) {
      if (active.has(setting.key)) continue
      const value = all.get(setting.key)
      if ("fallback" in setting) assert.strictEqual(value, setting.fallback, setting.key)
      else if ("usually" in setting) assert.include(setting.usually, String(value), setting.key)
      else assert.strictEqual(value, "", setting.key)
    }
  })
})
