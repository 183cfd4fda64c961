import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { parseClusterFile } from "../../src/core/config/clusterFile.ts"

const problems = (text: string) => parseClusterFile("c.jsonc", text).problems

describe("the cluster file", () => {
  it("may have comments, trailing commas, a byte order mark and keys in any case", () => {
    const { given, problems, warnings } = parseClusterFile(
      "c.jsonc",
      `\ufeff// the cluster
      { "Cluster_ID": "a", /* where */ "STORAGE": { "bucket_name": "b", }, "replication": { "Chunk_Buffer": { "limit_MB": 7, }, }, }`
    )
    assert.deepStrictEqual([problems, warnings], [[], []])
    assert.strictEqual(given.get("cluster_id")?.text, "a")
    assert.strictEqual(given.get("storage.bucket_name")?.text, "b")
    assert.deepInclude(given.get("replication.chunk_buffer.limit_mb"), { kind: "number", text: "7" })
  })

  it("says line and column of every value and every syntax error", () => {
    const { given } = parseClusterFile("c.jsonc", '{\n  "cluster_id":\n    "a"\n}')
    assert.strictEqual(given.get("cluster_id")?.source, "c.jsonc:3:5")
    assert.deepStrictEqual(problems('{\n  "cluster_id" "a"\n}')[0], {
      key: "c.jsonc:2:16",
      value: '"a"',
      allowed: "a colon after the key"
    })
    assert.strictEqual(problems('{ "cluster_id": "a"')[0]?.value, "the end")
    assert.strictEqual(problems("{ cluster_id: 1 }")[0]?.key, "c.jsonc:1:3")
  })

  it("is refused when it is empty, no object, too deep or too long", () => {
    assert.lengthOf(problems(""), 1)
    assert.include(problems("[]")[0]?.allowed, "an object")
    assert.include(problems(`{"a":${"[".repeat(200_000)}`)[0]?.allowed, "at most 32 levels")
    assert.include(problems(`{"a":${'{"a":'.repeat(100_000)}`)[0]?.allowed, "at most 32 levels")
    assert.include(problems(" ".repeat((1 << 20) + 1))[0]?.allowed, "characters")
  })

  it("warns about unknown keys with the nearest known one", () => {
    const { warnings } = parseClusterFile(
      "c.jsonc",
      `{
      "clutser_id": "a", "elector": { "heartbeat_interval": "1s" }, "storage": { "zzzzzzzzzz": 1 }, "__proto__": { "x": 1 }
    }`
    )
    assert.deepStrictEqual(warnings.slice(0, 3), [
      "c.jsonc:2:7: unknown key clutser_id is ignored; did you mean cluster_id?",
      "c.jsonc:2:39: unknown key elector.heartbeat_interval is ignored; did you mean heartbeat_interval?",
      "c.jsonc:2:82: unknown key storage.zzzzzzzzzz is ignored"
    ])
    assert.lengthOf(warnings, 4)
  })

  it("takes the last of two equal keys and says so; null is as good as absent", () => {
    const { given, warnings } = parseClusterFile(
      "c.jsonc",
      '{"cluster_id":"a","CLUSTER_ID":"b","watch":null,"log":{"format":null}}'
    )
    assert.strictEqual(given.get("cluster_id")?.text, "b")
    assert.deepStrictEqual(warnings, ["c.jsonc:1:19: cluster_id is given more than once; the last one counts"])
    assert.isFalse(given.has("log.format"))
  })

  it("names a group that is not an object", () => {
    assert.deepStrictEqual(problems('{"storage": 5}'), [
      { key: "storage", value: "5", allowed: "an object: { … }", source: "c.jsonc:1:13" }
    ])
  })

  it.prop(
    "never crashes on any text",
    [
      Schema.String,
      Schema.Array(
        Schema.Literals([
          "{",
          "}",
          "[",
          "]",
          ",",
          ":",
          '"',
          "\\",
          "1",
          "-",
          "//",
          "/*",
          "\n",
          "null",
          '"storage"',
          '"cluster_id"',
          "e",
          ".",
          "\u0000"
        ])
      )
    ],
    ([text, tokens]) => {
      for (const contents of [text, `{"${text}": 1}`, tokens.join(""), `{"storage":{"class":${tokens.join("")}}}`]) {
        assert.isArray(parseClusterFile("c.jsonc", contents).problems)
      }
    },
    { arbitrary: { runs: 400, seed: "cluster files" } }
  )
})
