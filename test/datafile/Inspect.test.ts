import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { rfc3339 } from "../../src/core/datafile/json.ts"
import * as ObjectStoreMemory from "../../src/layers/ObjectStoreMemory.ts"
import { inspectKey, inspectStream } from "../../src/programs/inspect.ts"
import { concat, utf8 } from "./support.ts"

const golden = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../golden/${name}.netsy`, import.meta.url)))

const printer = () => {
  const out: Array<string> = []
  const error: Array<string> = []
  const output = {
    out: (line: string) => void out.push(line),
    error: (line: string) => void error.push(line),
    drained: Effect.void
  }
  return { out, error, output }
}

const inspected = (bytes: Uint8Array) =>
  Effect.gen(function* () {
    const { out, error, output } = printer()
    const code = yield* inspectStream("file.netsy", Stream.succeed(bytes), output)
    return { code, lines: out.map((line) => JSON.parse(line) as Record<string, unknown>), error }
  })

describe("netsy inspect", () => {
  it.effect("prints header, records as protobuf's JSON, footer and verdict", () =>
    Effect.gen(function* () {
      const { code, lines, error } = yield* inspected(golden("netsy-1x-chunk"))
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(error, [])
      assert.deepStrictEqual(lines, [
        {
          header: {
            kind: "KIND_CHUNK",
            compression: "COMPRESSION_NONE",
            recordsCount: "1",
            leaderId: "node-1",
            createdAt: "2023-11-14T22:13:21Z"
          }
        },
        {
          crc: String(0xf242f4d8cb132993n),
          revision: "1",
          key: "X25ldHN5",
          created: true,
          createRevision: "1",
          version: "1",
          createdAt: "2023-11-14T22:13:20.500Z",
          leaderId: "node-1"
        },
        { footer: { recordsCrc: String(0xf242f4d8cb132993n), firstRevision: "1", lastRevision: "1" } },
        { verdict: "ok", records: 1 }
      ])
    })
  )

  it.effect("decodes operations, and shows index, term and sub where they are not implied", () =>
    Effect.gen(function* () {
      const { lines } = yield* inspected(golden("chunk-zstd"))
      assert.deepStrictEqual(lines[5]!["sub"], "2")
      assert.deepStrictEqual(lines[5]!["term"], "1")
      assert.deepStrictEqual(
        [lines[8]!["index"], lines[8]!["op"]],
        ["6", { compaction: { revision: "3", physical: true } }]
      )
      assert.isUndefined(lines[8]!["term"])
    })
  )

  it.effect("never prints a password's hash", () =>
    Effect.gen(function* () {
      const { lines } = yield* inspected(golden("ops"))
      assert.notMatch(JSON.stringify(lines), new RegExp(btoa("$2a$10$hash").slice(0, 8)))
      assert.match(JSON.stringify(lines), /"userAdd":\{"name":"alice"\}/)
    })
  )

  it.effect("says what is damaged and where, after what could be read, and fails", () =>
    Effect.gen(function* () {
      const { code, lines, error } = yield* inspected(golden("truncated"))
      assert.strictEqual(code, 1)
      assert.deepStrictEqual(lines.at(-1), { verdict: "damaged", check: "truncated", offset: 1037 })
      assert.strictEqual(lines.length, 21)
      assert.match(error[0]!, /file\.netsy: truncated at byte 1037: the file ends after 19 of 30 records/)
    })
  )

  it.effect("mentions bytes behind the footer", () =>
    Effect.gen(function* () {
      const { code, lines, error } = yield* inspected(concat(golden("chunk"), utf8("tail")))
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(lines.at(-1), { verdict: "ok", records: 9, trailingBytes: 4 })
      assert.match(error[0]!, /4 bytes follow/)
    })
  )

  it.effect("reads an object of the bucket by its key, and says when there is none", () =>
    Effect.gen(function* () {
      const bucket = new ObjectStoreMemory.MemoryBucket()
      const key = "chunks/0001/0000000000000000001.netsy"
      bucket.put(key, golden("netsy-1x-chunk"), undefined, 0)
      const { out, error, output } = printer()
      const layer = ObjectStoreMemory.layer({ bucket })
      assert.strictEqual(yield* inspectKey(key, output).pipe(Effect.provide(layer)), 0)
      assert.strictEqual(out.length, 4)
      assert.strictEqual(yield* inspectKey("chunks/2.netsy", output).pipe(Effect.provide(layer)), 1)
      assert.match(error[0]!, /chunks\/2\.netsy: no such object/)
    })
  )

  it("a directory that is not there is not made by looking into it", () => {
    const folder = mkdtempSync(join(tmpdir(), "netsy-inspect-"))
    const args = ["--disable-warning=ExperimentalWarning", "src/programs/netsy.ts", "inspect"]
    const run = spawnSync(process.execPath, [...args, "--storage", `dir:${folder}/data`, "chunks/1.netsy"], {
      encoding: "utf8"
    })
    assert.strictEqual(run.status, 1)
    assert.match(run.stderr, /chunks\/1\.netsy is not a file, and there is no directory .*\/data/)
    assert.isFalse(existsSync(join(folder, "data")))
    rmSync(folder, { recursive: true })
  })
})

describe("times", () => {
  it("are printed in RFC 3339 with as many digits as they need", () => {
    const cases: ReadonlyArray<readonly [number, number, string]> = [
      [0, 0, "1970-01-01T00:00:00Z"],
      [1709210096, 120000000, "2024-02-29T12:34:56.120Z"],
      [1709210096, 123456000, "2024-02-29T12:34:56.123456Z"],
      [4102444799, 1, "2099-12-31T23:59:59.000000001Z"],
      [-1, 999999999, "1969-12-31T23:59:59.999999999Z"],
      [-2203891200, 0, "1900-03-01T00:00:00Z"]
    ]
    for (const [seconds, nanos, text] of cases) assert.strictEqual(rfc3339({ seconds, nanos }), text)
  })
})
