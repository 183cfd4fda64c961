import { assert, describe, it } from "@effect/vitest"
import { Crc64, crc64 } from "../../src/core/datafile/crc64.ts"
import { join } from "../../src/core/datafile/crc64Join.ts"
import { chunkKey, indexOfKey, snapshotKey } from "../../src/core/datafile/keys.ts"
import { FileKind } from "../../src/core/datafile/types.ts"
import { encodeChunk, SnapshotWriter } from "../../src/core/datafile/writer.ts"
import { writeHeader } from "../../src/core/datafile/header.ts"
import { Writer } from "../../src/core/wire/protobuf.ts"
import { entriesOf } from "../../src/core/log/entries.ts"
import {
  concat,
  entry,
  facts,
  fromHex,
  messagesOf,
  opRecord,
  randomEntries,
  readPlain,
  record,
  seeded,
  toHex,
  utf8
} from "./support.ts"

const slowCrc = (bytes: Uint8Array): bigint => {
  let crc = 0xffffffffffffffffn
  for (const byte of bytes) {
    crc ^= BigInt(byte)
    for (let i = 0; i < 8; i++) crc = (crc & 1n) === 1n ? (crc >> 1n) ^ 0xc96c5795d7870f42n : crc >> 1n
  }
  return crc ^ 0xffffffffffffffffn
}

/** The vector of reference netsy-1x.md 3.6: one record, no compression. */
const vector = {
  header: "18022001280132066e6f64652d313a060881e2cfaa06",
  record: "10011a065f6e65747379200130014001620c0880e2cfaa061080cab5ee0172066e6f64652d31",
  footer: "1093d3ccd88c9bbda1f20118012001",
  file: `2108faf5d3b7df86ced3e80118022001280132066e6f64652d313a060881e2cfaa06310893d3ccd88c9bbda1f20110011a065f6e65747379
    200130014001620c0880e2cfaa061080cab5ee0172066e6f64652d31191093d3ccd88c9bbda1f2011801200140cfbaf8b7f682e9bf72`
}

const internal = (term: number) =>
  record({
    revision: 1,
    term,
    key: utf8("_netsy"),
    value: new Uint8Array(0),
    createdAt: { seconds: 1700000000, nanos: 500000000 }
  })

describe("CRC-64", () => {
  it("gives the published check value", () => {
    assert.strictEqual(crc64(utf8("123456789")), 0x995dc9bbdf1939fan)
  })

  it("agrees with the definition bit by bit at every length, and may be continued anywhere", () => {
    const random = seeded(1)
    const bytes = Uint8Array.from({ length: 300 }, () => random(256))
    for (let length = 0; length <= bytes.length; length++) {
      const cut = random(length + 1)
      const running = new Crc64().update(bytes, 0, cut).update(bytes, cut, length)
      assert.strictEqual(running.value, slowCrc(bytes.subarray(0, length)))
    }
  })

  it("of two runs of bytes follows from the CRCs of both", () => {
    const random = seeded(2)
    for (let i = 0; i < 300; i++) {
      const bytes = Uint8Array.from({ length: random(i % 50 === 0 ? 70_000 : 600) }, () => random(256))
      const cut = random(bytes.length + 1)
      const running = new Crc64().update(bytes, 0, cut)
      join(running, new Crc64().update(bytes, cut), bytes.length - cut)
      assert.strictEqual(running.value, crc64(bytes))
    }
  })
})

describe("chunks", () => {
  it("come out byte for byte as the vector of Netsy 1.x when there is no term", () => {
    const chunk = encodeChunk([entry(internal(0))], { ...facts, term: 0 })
    assert.strictEqual(toHex(chunk.bytes), toHex(fromHex(vector.file)))
    assert.isFalse(chunk.compress)
  })

  it("have the CRCs of the vector", () => {
    assert.strictEqual(crc64(fromHex(vector.header)), 0xe8a73835f6f4fafan)
    assert.strictEqual(crc64(fromHex(vector.record)), 0xf242f4d8cb132993n)
    assert.strictEqual(crc64(fromHex(vector.footer)), 0x727fa41766fe1d4fn)
  })

  it("of a plain single-key history of the first term differ from Netsy's only in the header's term and first index", () => {
    const entries = (term: number) =>
      [internal(term), record({ revision: 2, term }), record({ revision: 3, term, deleted: true, version: 0 })].map(
        (r) => entry(r)
      )
    const ours = encodeChunk(entries(1), facts)
    const theirs = encodeChunk(entries(0), { ...facts, term: 0 })
    const body = (chunk: { bytes: Uint8Array; headerBytes: number }) => toHex(chunk.bytes.subarray(chunk.headerBytes))
    assert.strictEqual(body(ours), body(theirs))
    const header = readPlain(ours.bytes).header
    const writer = new Writer()
    writeHeader(writer, { ...header, term: 0, firstIndex: 0 })
    assert.strictEqual(toHex(writer.view()), toHex(theirs.bytes.subarray(0, theirs.headerBytes)))
    assert.deepStrictEqual([header.term, header.firstIndex], [1, 1])
  })

  it("are compressed only when several records hold more than 4096 bytes of keys and values", () => {
    const of = (...sizes: ReadonlyArray<number>) =>
      encodeChunk(
        sizes.map((size, i) => entry(record({ revision: i + 1, key: utf8("k"), value: new Uint8Array(size) }))),
        facts
      ).compress
    assert.isFalse(of(1_000_000))
    assert.isFalse(of(2000, 2094))
    assert.isTrue(of(2000, 2095))
  })

  it("are read back as they were written, in pieces of any size", () => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = seeded(seed)
      const entries = randomEntries(random, 1 + random(30), 200)
      const term = entries[entries.length - 1]!.term + random(2)
      const written = encodeChunk(entries, { ...facts, term, prevTerm: 1, stored: 3, compactionRevision: 2 }, false)
      const read = readPlain(written.bytes, 1 + random(100))
      assert.deepStrictEqual(entriesOf(read.records), entries, `seed ${seed}`)
      const { term: t, firstIndex, prevTerm, stored, compactionRevision } = read.header
      assert.deepStrictEqual([t, firstIndex, prevTerm, stored, compactionRevision], [term, entries[0]!.index, 1, 3, 2])
      assert.strictEqual(read.end.trailingBytes, 0)
    }
  })

  it("keep 64-bit leases, times before 1970 and an entry of Netsy 1.x among later ones", () => {
    const entries = [
      entry(record({ revision: 7, term: 0, lease: -1n, createdAt: { seconds: -5, nanos: 1 } })),
      entry(record({ revision: 8, term: 0, lease: 0x7fffffffffffffffn })),
      entry(opRecord({ kind: "noOp" }, { revision: 8, index: 9, term: 4 }))
    ]
    const read = readPlain(encodeChunk(entries, { ...facts, term: 4 }).bytes)
    assert.deepStrictEqual(entriesOf(read.records), entries)
  })

  it("with bytes behind the footer are read, and the bytes are counted", () => {
    const { bytes } = encodeChunk([entry(internal(1))], facts)
    assert.strictEqual(readPlain(concat(bytes, utf8("more"))).end.trailingBytes, 4)
  })

  it("that a reader would refuse are not written", () => {
    assert.throws(() => encodeChunk([entry(record({ revision: 1 })), entry(record({ revision: 3 }))], facts), /entry 3/)
    assert.throws(() => encodeChunk([entry(record({ revision: 1, term: 2 }))], facts), /term 2/)
    assert.throws(
      () => encodeChunk([entry(record({ revision: 5, index: 1 })), entry(record({ revision: 7, index: 2 }))], facts),
      /revision 7/
    )
    assert.throws(() => encodeChunk([], facts), /at least one/)
  })
})

describe("snapshots", () => {
  const snapshotFacts = {
    leaderId: "node-1",
    createdAt: { seconds: 1700000001, nanos: 0 },
    term: 3,
    compactionRevision: 4,
    lastIndex: 12,
    lastTerm: 2,
    revision: 9,
    recordsCount: 3,
    compress: false
  }
  const records = [
    opRecord({ kind: "leaseGrant", id: 7n, ttlSeconds: 10, remainingTtlSeconds: 0 }, { revision: 2, index: 3 }),
    record({ revision: 5, index: 6 }),
    record({ revision: 9, index: 12, term: 2 })
  ]

  it("begin with an op that states floor and revision, then hold what they were given", () => {
    const writer = new SnapshotWriter(snapshotFacts)
    const bytes = concat(
      writer.header(),
      writer.records(records.slice(0, 1)),
      writer.records(records.slice(1)),
      writer.footer()
    )
    const read = readPlain(bytes)
    assert.strictEqual(read.header.kind, FileKind.Snapshot)
    assert.deepStrictEqual([read.header.lastIndex, read.header.lastTerm, read.header.recordsCount], [12, 2, 4])
    const [state, ...rest] = read.records
    assert.deepStrictEqual(
      state!.op,
      opRecord({ kind: "compaction", revision: 4, physical: false }, { revision: 9 }).op
    )
    assert.deepStrictEqual([state!.index, state!.term, state!.revision], [12, 2, 9])
    assert.deepStrictEqual(rest, records)
  })

  it("of an empty store hold only that op", () => {
    const writer = new SnapshotWriter({ ...snapshotFacts, recordsCount: 0 })
    assert.strictEqual(readPlain(concat(writer.header(), writer.footer())).records.length, 1)
  })

  it("with another number of records than announced, or out of order, are not written", () => {
    const short = new SnapshotWriter(snapshotFacts)
    short.records(records.slice(0, 2))
    assert.throws(() => short.footer(), /announced/)
    const long = new SnapshotWriter({ ...snapshotFacts, recordsCount: 1 })
    assert.throws(() => long.records(records), /announced/)
    const wrong = new SnapshotWriter(snapshotFacts)
    assert.throws(() => wrong.records([records[1]!, records[0]!]), /comes after keys/)
  })
})

describe("object keys", () => {
  it("are those of Netsy 1.x", () => {
    assert.strictEqual(chunkKey(12345), "chunks/2345/0000000000000012345.netsy")
    assert.strictEqual(snapshotKey(12345), "snapshots/0000000000000012345.netsy")
    assert.strictEqual(chunkKey(10000), "chunks/0000/0000000000000010000.netsy")
  })

  it("are read back leniently, and other objects are passed over", () => {
    assert.strictEqual(indexOfKey("chunks/2345/0000000000000012345.netsy"), 12345)
    assert.strictEqual(indexOfKey("chunks/7.netsy"), 7)
    assert.strictEqual(indexOfKey("snapshots/x/y/0012.netsy"), 12)
    for (const key of [
      "chunks/a.netsy",
      "chunks/12",
      "chunks/12.netsy/",
      "chunks/-1.netsy",
      "chunks/0.netsy",
      "chunks/1.5.netsy"
    ]) {
      assert.isUndefined(indexOfKey(key), key)
    }
  })
})

describe("messages of a file", () => {
  it("lie where their lengths say", () => {
    assert.strictEqual(messagesOf(fromHex(vector.file)).length, 3)
  })
})
