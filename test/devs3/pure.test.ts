/** The pure parts of dev-s3: XML, aws-chunked, checksums, key order and file names. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { AwsChunkedDecoder, ChunkTooSmall, MalformedChunk } from "../../src/core/s3/awsChunked.ts"
import { Crc64Nvme, crc32c } from "../../src/core/s3/checksum.ts"
import { compareKeys, pageOfKeys } from "../../src/core/s3/keyOrder.ts"
import { child, childText, MalformedXml, readXml, writeXml } from "../../src/core/s3/xml.ts"
import { parseChances, parseLatency, sampleLatencyMillis, seededRandom } from "../../src/programs/dev-s3/faults.ts"
import { keyOfPath, pathOfKey } from "../../src/programs/dev-s3/paths.ts"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

describe("XML", () => {
  it("reads what it writes, whatever the text", () => {
    const odd = 'a & b < c > "d" \' \r\n ü €😀'
    const root = readXml(
      writeXml(
        "Root",
        [
          ["A", odd],
          ["B", [["C", ""]]]
        ],
        "http://ns"
      )
    )
    assert.strictEqual(root.name, "Root")
    assert.strictEqual(childText(root, "A"), odd)
    assert.strictEqual(childText(child(root, "B")!, "C"), "")
  })

  it("reads what SDKs send: prefixes, attributes, comments, CDATA, entities, empty elements", () => {
    const root = readXml(
      '\ufeff<?xml version="1.0"?><!-- x --><n:R a="1>2" xmlns:n="u"><n:K>&#x41;&#66;&amp;<![CDATA[<x>]]></n:K><E/></n:R>'
    )
    assert.strictEqual(root.name, "R")
    assert.strictEqual(childText(root, "K"), "AB&<x>")
    assert.strictEqual(childText(root, "E"), "")
  })

  it("refuses everything else", () => {
    const bad = [
      "",
      "text",
      "<a>",
      "</a>",
      "<a></b>",
      "<a/><b/>",
      "<a>&what;</a>",
      "<a>&#x110000;</a>",
      "<a",
      "<!DOCTYPE a><a/>",
      "<a>".repeat(20)
    ]
    for (const source of bad) assert.throws(() => readXml(source), MalformedXml, undefined, source)
  })
})

const decode = (body: Uint8Array, pieceSize: number): { data: string; trailers: ReadonlyMap<string, string> } => {
  const data: Array<Uint8Array> = []
  const decoder = new AwsChunkedDecoder((piece) => data.push(piece.slice()))
  for (let offset = 0; offset < body.length; offset += pieceSize)
    decoder.push(body.subarray(offset, offset + pieceSize))
  decoder.end()
  return { data: Buffer.concat(data).toString(), trailers: decoder.trailers }
}

describe("aws-chunked", () => {
  const signed = "5;chunk-signature=ab\r\nhello\r\n6;chunk-signature=cd\r\n world\r\n0;chunk-signature=ef\r\n"
  const trailer = "x-amz-checksum-crc32:DUoRhQ==\r\nx-amz-trailer-signature:00\r\n\r\n"

  it("gives the same data in pieces of every size", () => {
    for (const body of [
      `${signed}\r\n`,
      signed + trailer,
      `b\r\nhello world\r\n0\r\n${trailer}`,
      "B\r\nhello world\r\n0\r\n"
    ]) {
      for (let size = 1; size <= body.length; size++) assert.strictEqual(decode(bytes(body), size).data, "hello world")
    }
    assert.strictEqual(decode(bytes(signed + trailer), 7).trailers.get("x-amz-checksum-crc32"), "DUoRhQ==")
  })

  it("refuses a chunk that is too small, unless it is the last", () => {
    const read = (body: string, bytesMin: number): void => {
      const decoder = new AwsChunkedDecoder(() => {}, bytesMin)
      decoder.push(bytes(body))
      decoder.end()
    }
    read(signed, 5)
    read(`6\r\n world\r\n5\r\nhello\r\n0\r\n\r\n`, 6)
    assert.throws(() => read(signed, 6), ChunkTooSmall, "a chunk of 5 bytes")
  })

  it("refuses a body that is cut anywhere before its last chunk, or is not chunked at all", () => {
    for (let length = 0; length < signed.length; length++) {
      assert.throws(() => decode(bytes(signed.slice(0, length)), 3), MalformedChunk)
    }
    for (const bad of [
      "hello",
      "zz\r\n",
      "5\r\nhello world\r\n0\r\n\r\n",
      `${signed}\r\nmore`,
      "0\r\nnocolon\r\n\r\n",
      "f".repeat(5000)
    ]) {
      assert.throws(() => decode(bytes(bad), 100), MalformedChunk, undefined, bad.slice(0, 20))
    }
  })
})

describe("checksums", () => {
  it("gives the published check values, in one piece or many", () => {
    const check = bytes("123456789")
    assert.strictEqual(crc32c(check), 0xe3069283)
    assert.strictEqual(crc32c(check.subarray(4), crc32c(check.subarray(0, 4))), 0xe3069283)
    const crc = new Crc64Nvme()
    crc.update(check.subarray(0, 2))
    crc.update(check.subarray(2))
    assert.strictEqual(Buffer.from(crc.digest()).toString("hex"), "ae8b14860a799888")
  })
})

const Key = Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(12))

describe("key order", () => {
  it.prop("is the byte order of UTF-8", [Schema.Array(Key)], ([keys]) => {
    const well = keys.map((key) => key.toWellFormed())
    const expected = well.toSorted((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)))
    assert.deepStrictEqual(well.toSorted(compareKeys), expected)
  })

  const Part = Schema.Literals(["a", "b", "a-", "ab"])
  const Keys = Schema.Array(Schema.Array(Part).check(Schema.isMinLength(1), Schema.isMaxLength(3)))
  const Limit = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5 }))
  it.prop(
    "pages put together are what a plain filter finds",
    [Keys, Part, Limit, Schema.Boolean],
    ([parts, prefix, limit, rolls]) => {
      const sorted = [...new Set(parts.map((each) => each.join("/")))].toSorted(compareKeys)
      const matching = sorted.filter((key) => key.startsWith(prefix))
      const cut = (key: string): number => (rolls ? key.indexOf("/", prefix.length) : -1)
      const expectedKeys = matching.filter((key) => cut(key) === -1)
      const expectedPrefixes = [
        ...new Set(matching.filter((key) => cut(key) !== -1).map((key) => key.slice(0, cut(key) + 1)))
      ]
      const keys: Array<string> = []
      const prefixes: Array<string> = []
      let after: string | undefined
      for (let pages = 0; pages <= sorted.length; pages++) {
        const page = pageOfKeys(sorted, {
          prefix,
          limit,
          ...(rolls ? { delimiter: "/" } : {}),
          ...(after === undefined ? {} : { after })
        })
        keys.push(...page.keys)
        prefixes.push(...page.prefixes)
        after = page.next
        if (after === undefined) break
      }
      assert.isUndefined(after)
      assert.deepStrictEqual(keys, expectedKeys)
      assert.deepStrictEqual(prefixes, expectedPrefixes)
    }
  )
})

describe("file names", () => {
  it.prop("every key has its path and comes back from it", [Schema.String], ([key]) => {
    const well = key.toWellFormed()
    const path = pathOfKey(well)
    assert.strictEqual(keyOfPath(path), well)
    for (const name of path.split("/")) {
      assert.notInclude([".", "..", ""], name)
      assert.isFalse(name.startsWith("."))
      assert.isAtMost(Buffer.byteLength(name), 255)
    }
  })

  it("ordinary keys are their own paths, odd ones stay inside", () => {
    assert.strictEqual(pathOfKey("chunks/2345/0000000000000012345.netsy"), "chunks/2345/0000000000000012345.netsy")
    assert.strictEqual(pathOfKey("../../etc/passwd"), "%2E./%2E./etc/passwd")
    assert.strictEqual(keyOfPath("%2E./%2E./etc/passwd"), "../../etc/passwd")
    for (const key of [
      "/",
      "//",
      "a/",
      "/a",
      ".",
      "a%file",
      "a%empty/b",
      "\u{f725}",
      "é".repeat(600),
      "x".repeat(1024)
    ]) {
      assert.strictEqual(keyOfPath(pathOfKey(key)), key)
    }
    assert.notStrictEqual(pathOfKey("a%file"), "a%file")
  })
})

describe("faults", () => {
  it("reads its flags and refuses what is not one", () => {
    assert.deepStrictEqual(parseLatency("28ms,80ms"), { medianMillis: 28, p99Millis: 80 })
    assert.deepStrictEqual(parseLatency("1s"), { medianMillis: 1000, p99Millis: 1000 })
    assert.deepStrictEqual(parseChances("put:0.01,get:1"), { put: 0.01, get: 1 })
    for (const bad of ["", "x", "28ms,8ms", "1ms,2ms,3ms", "-1ms", "0ms"])
      assert.throws(() => parseLatency(bad), Error, undefined, bad)
    for (const bad of ["", "put", "put:", "put:2", "put:x", "bake:0.1"])
      assert.throws(() => parseChances(bad), Error, undefined, bad)
  })

  it("draws latencies with the median and the 99th percentile it was given, the same for the same seed", () => {
    const draw = (seed: number): ReadonlyArray<number> => {
      const random = seededRandom(seed)
      return Array.from({ length: 20_000 }, () => sampleLatencyMillis({ medianMillis: 28, p99Millis: 80 }, random))
    }
    const sorted = draw(7).toSorted((left, right) => left - right)
    assert.approximately(sorted[10_000]!, 28, 1)
    assert.approximately(sorted[19_800]!, 80, 6)
    assert.deepStrictEqual(draw(7), draw(7))
    assert.notDeepEqual(draw(7), draw(8))
  })
})
