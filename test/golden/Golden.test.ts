import { readdirSync, readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { DataFileDamaged } from "../../src/core/datafile/types.ts"
import { decodeOp, encodeOp } from "../../src/core/log/op.ts"
import { MalformedMessage } from "../../src/core/wire/protobuf.ts"
import { decode } from "../../src/layers/datafile/decode.ts"
import { fromHex, toHex } from "../datafile/support.ts"
import { goldenFiles, opBytes, opExamples } from "./files.ts"

const read = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(name, import.meta.url)))
const files = Object.entries(goldenFiles())

describe("the golden files", () => {
  it("are all of them", () => {
    const names = readdirSync(new URL(".", import.meta.url)).filter((name) => name.endsWith(".netsy"))
    assert.deepStrictEqual(names.sort(), files.map(([name]) => `${name}.netsy`).sort())
  })

  for (const [name, { bytes, damage }] of files) {
    // Another version of zstd may find a shorter form; what it decodes to is compared below.
    if (!name.endsWith("zstd")) {
      it(`${name} is still written byte for byte`, () => {
        assert.strictEqual(toHex(bytes), toHex(read(`${name}.netsy`)))
      })
    }

    it.effect(`${name} is ${damage === undefined ? "read whole" : `found damaged: ${damage.check}`}`, () =>
      Effect.gen(function*() {
        const parts = (stored: Uint8Array) => Stream.succeed(stored).pipe(decode(name), Stream.runCollect)
        if (damage === undefined) {
          assert.deepStrictEqual(yield* parts(read(`${name}.netsy`)), yield* parts(bytes))
          return
        }
        const error = yield* Effect.flip(parts(read(`${name}.netsy`)))
        assert.instanceOf(error, DataFileDamaged)
        assert.deepStrictEqual({ check: error.check, offset: error.offset }, damage)
      }))
  }
})

describe("the operations of the log", () => {
  const stored = JSON.parse(new TextDecoder().decode(read("ops.json"))) as Record<string, string>

  it("have the bytes that were fixed", () => {
    assert.deepStrictEqual(opBytes(), stored)
  })

  it("are read back from these bytes", () => {
    for (const [name, op] of Object.entries(opExamples)) assert.deepStrictEqual(decodeOp(fromHex(stored[name]!)), op, name)
  })

  it("that are cut, followed by something, or not known are refused", () => {
    for (const [name, op] of Object.entries(opExamples)) {
      const bytes = encodeOp(op)
      for (let length = 0; length < bytes.length; length++) {
        assert.throws(() => decodeOp(bytes.subarray(0, length)), MalformedMessage, undefined, `${name}, ${length} bytes`)
      }
      assert.throws(() => decodeOp(Uint8Array.from([...bytes, 0])), MalformedMessage)
    }
    assert.throws(() => decodeOp(fromHex("7a00")), /op 15 is not known/)
    assert.throws(() => decodeOp(fromHex("3a04 0801 8a0100")), /auth change 17 is not known/)
  })
})
