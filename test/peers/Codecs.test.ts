/** The messages between nodes: every one survives the wire, damaged ones are refused, and proto/netsy/cluster.proto says the same. */
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import protobuf from "protobufjs"
import * as codecs from "../../src/core/wire/peer/codecs.ts"
import { MalformedMessage, Writer } from "../../src/core/wire/protobuf.ts"
import { random } from "../wire/random.ts"
import { entries, kinds } from "./messages.ts"

const folder = fileURLToPath(new URL("../../proto/", import.meta.url))
const root = new protobuf.Root()
root.resolvePath = (_origin, target) => (target.startsWith("google/") ? target : folder + target)
root.loadSync("netsy/cluster.proto")
root.resolveAll()

const rounds = 300

describe("messages between nodes", () => {
  for (const { name, random: make, encode, decode } of kinds) {
    it(`${name} comes back as it was`, () => {
      for (let seed = 0; seed < rounds; seed++) {
        const value = make(random(seed))
        assert.deepStrictEqual(decode(encode(value as never)), value, `seed ${seed}`)
      }
    })

    it(`${name} has the bytes that cluster.proto says`, () => {
      const type = root.lookupType(`netsy.${name}`)
      for (let seed = 0; seed < rounds; seed++) {
        const bytes = encode(make(random(seed)) as never)
        assert.deepStrictEqual(
          Buffer.from(type.encode(type.decode(bytes)).finish()),
          Buffer.from(bytes),
          `seed ${seed}`
        )
      }
    })

    it(`a ${name} that is damaged or cut off is refused or is another one`, () => {
      let refused = 0
      for (let seed = 0; seed < rounds; seed++) {
        const source = random(seed)
        const whole = encode(make(source) as never)
        for (let nth = 0; nth < 10; nth++) {
          const bytes = source.chance(30) ? whole.slice(0, source.int(whole.length + 1)) : whole.slice()
          for (let i = source.int(4); i >= 0 && bytes.length > 0; i--) bytes[source.int(bytes.length)] = source.int(256)
          try {
            decode(bytes)
          } catch (error) {
            assert.instanceOf(error, MalformedMessage, `seed ${seed}: ${String(error)}`)
            refused++
          }
        }
      }
      assert.isAbove(refused, 0)
    })

    it(`a ${name} of a later version is read without what is new`, () => {
      for (let seed = 0; seed < 50; seed++) {
        const value = make(random(seed))
        const writer = new Writer()
        writer.raw(encode(value as never))
        writer.int64Field(500, 7)
        writer.stringField(501, "new")
        assert.deepStrictEqual(decode(writer.finish()), value, `seed ${seed}`)
      }
    })
  }

  it("a batch is encoded once for several followers", () => {
    const batch = entries(random(5), 11)
    assert.isAbove(batch.length, 1)
    const bytes = codecs.encodeEntries(batch)
    for (const term of [7, 8]) {
      const head = { term, prev: { index: 10, term: 3 }, commitIndex: 9, storedIndex: 4 }
      const found = codecs.decodePrimaryMessage(codecs.encodeAppend(head, bytes))
      assert.deepStrictEqual(found, { kind: "append", ...head, entries: batch })
    }
  })

  it("decoded entries share the memory of the message", () => {
    const batch = entries(random(5), 11)
    const head = { term: 7, prev: { index: 10, term: 3 }, commitIndex: 9, storedIndex: 4 }
    const message = codecs.encodeAppend(head, codecs.encodeEntries(batch))
    const found = codecs.decodePrimaryMessage(message)
    assert.isTrue(found.kind === "append")
    if (found.kind !== "append") return
    for (const { records } of found.entries) {
      for (const record of records) if (record.key.length > 0) assert.strictEqual(record.key.buffer, message.buffer)
    }
  })

  it("an Append whose entries do not follow what they are said to follow is refused", () => {
    const batch = codecs.encodeEntries(entries(random(5), 11))
    const head = { term: 7, prev: { index: 11, term: 3 }, commitIndex: 9, storedIndex: 4 }
    assert.throws(() => codecs.decodePrimaryMessage(codecs.encodeAppend(head, batch)), MalformedMessage, /follow/)
  })

  it("an Append with a hole in its entries is refused", () => {
    const batch = entries(random(5), 11)
    const holed = [batch[0]!, { ...batch[1]!, index: 99, records: batch[1]!.records.map((r) => ({ ...r, index: 99 })) }]
    const head = { term: 7, prev: { index: 10, term: 3 }, commitIndex: 9, storedIndex: 4 }
    const bytes = codecs.encodeAppend(head, codecs.encodeEntries(holed))
    assert.throws(() => codecs.decodePrimaryMessage(bytes), MalformedMessage, /entry 99 follows entry 11/)
  })

  it("a damaged record of an Append is found by its CRC", () => {
    const batch = entries(random(5), 11)
    const head = { term: 7, prev: { index: 10, term: 3 }, commitIndex: 9, storedIndex: 4 }
    const bytes = codecs.encodeAppend(head, codecs.encodeEntries(batch))
    bytes[bytes.length - 1]! ^= 1
    assert.throws(() => codecs.decodePrimaryMessage(bytes), MalformedMessage, /crc/)
  })
})
