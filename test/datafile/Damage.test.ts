import { zstdCompressSync, zstdDecompressSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { crc64 } from "../../src/core/datafile/crc64.ts"
import { DataFileDamaged } from "../../src/core/datafile/types.ts"
import { encodeChunk } from "../../src/core/datafile/writer.ts"
import { Writer } from "../../src/core/wire/protobuf.ts"
import { decode, type Part } from "../../src/layers/datafile/decode.ts"
import { chunkBody } from "../../src/layers/datafile/zstd.ts"
import {
  concat,
  damageOf,
  entry,
  facts,
  messagesOf,
  randomEntries,
  readPlain,
  record,
  seeded,
  toHex,
  utf8
} from "./support.ts"

const randomChunk = (random: (below: number) => number, compress: boolean) => {
  const entries = randomEntries(random, 2 + random(12), 60)
  return encodeChunk(entries, { ...facts, term: entries[entries.length - 1]!.term, stored: random(3) }, compress)
}

describe("an uncompressed file", () => {
  it("never hides a flipped bit: the report has the offset of the message that was hit", () => {
    for (let seed = 1; seed <= 3; seed++) {
      const { bytes } = randomChunk(seeded(seed), false)
      const messages = messagesOf(bytes)
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const hit = bytes.slice()
        hit[bit >>> 3]! ^= 1 << (bit & 7)
        const damage = damageOf(hit)
        assert.isDefined(damage, `seed ${seed}, bit ${bit}`)
        const message = messages.find((m) => bit >>> 3 < m.end)!
        assert.strictEqual(damage!.offset, message.start, `seed ${seed}, bit ${bit}: ${damage!.message}`)
      }
    }
  })

  it("never hides a cut", () => {
    const { bytes } = randomChunk(seeded(4), false)
    const messages = messagesOf(bytes)
    for (let length = 0; length < bytes.length; length++) {
      const damage = damageOf(bytes.subarray(0, length))
      assert.strictEqual(damage?.check, "truncated", `length ${length}`)
      assert.strictEqual(damage!.offset, messages.findLast((m) => m.start <= length)!.start)
    }
  })

  it("never hides a record that is repeated, missing or moved, or any bytes taken out or put in", () => {
    let tried = 0
    for (let seed = 10; seed < 400; seed++) {
      const random = seeded(seed)
      const { bytes } = randomChunk(random, false)
      const messages = messagesOf(bytes)
      const cut = (i: number) => bytes.subarray(messages[i]!.start, messages[i]!.end)
      const order = messages.map((_, i) => i)
      const records = messages.length - 2
      const one = 1 + random(records)
      const other = 1 + random(records)
      const kind = random(4)
      let damaged: Uint8Array
      if (kind === 0) order.splice(other, 0, one)
      else if (kind === 1) order.splice(one, 1)
      else if (kind === 2) order.splice(other, 0, order.splice(one, 1)[0]!)
      if (kind < 3) damaged = concat(...order.map(cut))
      else {
        const from = random(bytes.length)
        const to = from + random(20)
        damaged = concat(
          bytes.subarray(0, from),
          random(2) === 0 ? new Uint8Array(0) : bytes.subarray(0, random(30)),
          bytes.subarray(to)
        )
      }
      if (toHex(damaged) === toHex(bytes)) continue
      tried++
      const damage = damageOf(damaged)
      if (damage === undefined) {
        // Only bytes behind the footer may be there unnoticed.
        const read = readPlain(damaged)
        assert.isAbove(read.end.trailingBytes, 0, `seed ${seed}`)
        assert.strictEqual(toHex(damaged.subarray(0, bytes.length)), toHex(bytes), `seed ${seed}`)
      } else assert.isAtLeast(damage.offset, 0)
    }
    assert.isAbove(tried, 300)
  })

  it("is refused when its encoding is not canonical, even with the CRC of those very bytes", () => {
    const plain = messagesOf(encodeChunk([entry(record({ revision: 1 }))], facts).bytes)
    assert.strictEqual(plain.length, 3)
    const bodies = {
      "an explicit default": [0x10, 0x01, 0x1a, 0x01, 0x61, 0x38, 0x00],
      "a number that is not minimal": [0x10, 0x81, 0x00, 0x1a, 0x01, 0x61],
      "fields out of order": [0x1a, 0x01, 0x61, 0x10, 0x01],
      "a repeated field": [0x10, 0x01, 0x10, 0x02, 0x1a, 0x01, 0x61],
      "a bool of 2": [0x10, 0x01, 0x1a, 0x01, 0x61, 0x20, 0x02],
      "an unknown field among the known": [0x10, 0x01, 0x1a, 0x01, 0x61, 0x80, 0x01, 0x05]
    }
    for (const [what, body] of Object.entries(bodies)) {
      const { bytes } = encodeChunk([entry(record({ revision: 1 }))], facts)
      const [header] = messagesOf(bytes)
      const writer = new Writer()
      const bodyBytes = Uint8Array.from(body)
      const crcField = new Writer()
      crcField.bigintField(1, crc64(bodyBytes))
      writer.bytes(concat(crcField.view(), bodyBytes))
      const damage = damageOf(concat(bytes.subarray(0, header!.end), writer.view()))
      assert.strictEqual(damage?.check, "record encoding", what)
      assert.strictEqual(damage?.offset, header!.end, what)
    }
  })

  it("of a later version may have fields behind the known ones", () => {
    const { bytes } = encodeChunk([entry(record({ revision: 1, key: utf8("k") }))], facts)
    const [header, first] = messagesOf(bytes)
    const old = bytes.subarray(first!.start, first!.end)
    const bodyBytes = concat(old.subarray(old.indexOf(0x10)), Uint8Array.from([0xc0, 0x0c, 0x05]))
    const message = new Writer()
    const crcField = new Writer()
    crcField.bigintField(1, crc64(bodyBytes))
    message.bytes(concat(crcField.view(), bodyBytes))
    const footer = new Writer()
    footer.bigintField(2, crc64(bodyBytes))
    footer.int64Field(3, 1)
    footer.int64Field(4, 1)
    footer.bigintField(8, crc64(footer.view()))
    const delimited = new Writer()
    delimited.bytes(footer.view())
    const read = readPlain(concat(bytes.subarray(0, header!.end), message.view(), delimited.view()))
    assert.strictEqual(read.records[0]!.revision, 1)
  })

  it("does not make the reader take memory that a length promises", () => {
    const { bytes, headerBytes } = encodeChunk([entry(record({ revision: 1 }))], facts)
    const huge = concat(bytes.subarray(0, headerBytes), Uint8Array.from([0xff, 0xff, 0xff, 0xff, 0x0f]))
    assert.strictEqual(damageOf(huge)?.check, "message size")
  })

  it("of random bytes is always answered with a report", () => {
    const random = seeded(77)
    for (let i = 0; i < 3000; i++) {
      const bytes = Uint8Array.from({ length: random(120) }, () => random(256))
      assert.isDefined(damageOf(bytes))
    }
  })
})

/** Decodes as the bucket's readers do. */
const readStream = (bytes: Uint8Array, pieceBytes: number) => {
  const pieces: Array<Uint8Array> = []
  for (let at = 0; at < bytes.length; at += pieceBytes) pieces.push(bytes.slice(at, at + pieceBytes))
  return Stream.fromIterable(pieces, { chunkSize: 1 }).pipe(decode("file"), Stream.runCollect)
}

const recordsIn = (parts: ReadonlyArray<Part>) => parts.flatMap((p) => (p.kind === "records" ? p.records : []))

describe("a compressed file", () => {
  it.effect("is read back as it was written, in pieces of any size", () =>
    Effect.gen(function* () {
      for (let seed = 1; seed <= 10; seed++) {
        const random = seeded(seed)
        const chunk = randomChunk(random, true)
        const plain = messagesOf(chunk.bytes)
        const parts = yield* readStream(yield* chunkBody(chunk), 1 + random(50))
        assert.strictEqual(parts[0]!.kind, "header")
        assert.strictEqual(parts.at(-1)!.kind, "end")
        assert.strictEqual(recordsIn(parts).length, plain.length - 2)
      }
    })
  )

  it.effect("may consist of several zstd frames", () =>
    Effect.gen(function* () {
      const chunk = randomChunk(seeded(5), true)
      const body = chunk.bytes.subarray(chunk.headerBytes)
      const frames = [body.subarray(0, 50), body.subarray(50)].map((part) => new Uint8Array(zstdCompressSync(part)))
      const whole = yield* readStream(yield* chunkBody(chunk), 100)
      const parts = yield* readStream(concat(chunk.bytes.subarray(0, chunk.headerBytes), ...frames), 100)
      assert.deepStrictEqual(recordsIn(parts), recordsIn(whole))
    })
  )

  it.effect("with bytes behind the last frame is read, and they are counted", () =>
    Effect.gen(function* () {
      const chunk = randomChunk(seeded(5), true)
      const body = yield* chunkBody(chunk)
      for (const more of [utf8("more than a frame's magic"), utf8("four")]) {
        const parts = yield* readStream(concat(body, more), 100)
        const end = parts.at(-1)!
        assert.strictEqual(recordsIn(parts).length, messagesOf(chunk.bytes).length - 2)
        assert.isTrue(end.kind === "end" && end.end.trailingBytes === more.length)
      }
    })
  )

  it.effect("reports a flipped bit or a cut, or decodes to the same records", () =>
    Effect.gen(function* () {
      let reported = 0
      for (let seed = 1; seed <= 600; seed++) {
        const random = seeded(seed)
        const chunk = randomChunk(seeded(seed % 5), true)
        const body = yield* chunkBody(chunk)
        const before = recordsIn(yield* readStream(body, 4096))
        const hit = random(4) === 0 ? body.slice(0, random(body.length)) : body.slice()
        if (hit.length === body.length) hit[random(hit.length)]! ^= 1 << random(8)
        const result = yield* Effect.result(readStream(hit, 4096))
        if (result._tag === "Failure") {
          assert.instanceOf(result.failure, DataFileDamaged)
          reported++
        } else assert.deepStrictEqual(recordsIn(result.success), before, `seed ${seed}`)
      }
      assert.isAbove(reported, 500)
    })
  )

  it.effect("carries the checksum of zstd, as Netsy's files do", () =>
    Effect.gen(function* () {
      const chunk = randomChunk(seeded(6), true)
      const body = (yield* chunkBody(chunk)).slice()
      body[body.length - 1]! ^= 1
      assert.throws(() => zstdDecompressSync(body.subarray(chunk.headerBytes)), /checksum/)
    })
  )
})
