import { assert, describe, it } from "@effect/vitest"
import { DatabaseWriter } from "../../src/core/bbolt/DatabaseWriter.ts"
import { type Bucket, readDatabase } from "./reader.ts"

interface Given {
  readonly name: string
  readonly items: ReadonlyArray<{ readonly key: Uint8Array; readonly value: Uint8Array }>
}

/** Taken in pieces, now and then, as a file is written. */
const written = (buckets: ReadonlyArray<Given>): Uint8Array => {
  const writer = new DatabaseWriter()
  const parts: Array<Uint8Array> = []
  let puts = 0
  for (const { items, name } of buckets) {
    writer.bucket(name)
    for (const { key, value } of items) {
      writer.put(key, value)
      if (++puts % 700 === 0) parts.push(writer.take())
    }
  }
  const head = writer.finish()
  parts.push(writer.take())
  const file = Buffer.concat([head, ...parts])
  assert.strictEqual(head.length, DatabaseWriter.dataAt)
  assert.strictEqual(file.length, writer.fileBytes)
  return file
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

const numbered = (count: number, valueBytes: (i: number) => number): Given["items"] =>
  Array.from({ length: count }, (_, i) => {
    const key = new Uint8Array(17)
    new DataView(key.buffer).setUint32(4, i)
    return { key, value: new Uint8Array(valueBytes(i)).fill(i) }
  })

const near = (count: number): ReadonlyArray<number> => Array.from({ length: 7 }, (_, i) => count - 3 + i)

const assertSame = (found: ReadonlyArray<Bucket>, given: ReadonlyArray<Given>): void => {
  assert.deepStrictEqual(
    found.map(({ items, name }) => [name, items.length]),
    given.map(({ items, name }) => [name, items.length])
  )
  for (const [b, { items }] of given.entries()) {
    for (const [i, { key, value }] of items.entries()) {
      const item = found[b]!.items[i]!
      assert.isTrue(Buffer.from(key).equals(item.key) && Buffer.from(value).equals(item.value), `item ${i} differs`)
    }
  }
}

describe("A bbolt file", () => {
  it("holds empty buckets, and no bucket at all", () => {
    assertSame(readDatabase(written([])), [])
    const empty = [
      { name: "a", items: [] },
      { name: "b", items: [] }
    ]
    assertSame(readDatabase(written(empty)), empty)
  })

  it("gives back what was put, for trees of every size up to three levels of pages", () => {
    for (const count of [1, 2, 50, 98, 99, 100, 101, 500, 9_999, 12_345]) {
      const given = [{ name: "key", items: numbered(count, () => 3) }]
      assertSame(readDatabase(written(given)), given)
    }
    const deep = readDatabase(written([{ name: "key", items: numbered(20_000, () => 300) }]))
    assert.strictEqual(deep[0]!.depth, 3)
  })

  it("never has a branch with one child, whatever the number of leaves", () => {
    // One item fills a leaf, 123 leaves a branch; the reader refuses thin branches.
    for (const leaves of [1, 2, 3, ...near(123), ...near(246), 123 * 123, 123 * 123 + 1]) {
      const [bucket] = readDatabase(written([{ name: "key", items: numbered(leaves, () => 2100) }]))
      assert.strictEqual(bucket!.items.length, leaves)
    }
  })

  it("spreads values over as many pages as they need", () => {
    const given = [
      {
        name: "key",
        items: numbered(12, (i) => [0, 1, 4000, 4047, 4048, 4096, 5000, 8192, 65_536, 1_500_000, 7, 0][i]!)
      },
      { name: "more", items: numbered(3, () => 100_000) }
    ]
    assertSame(readDatabase(written(given)), given)
  })

  it("takes keys as long as bbolt allows", () => {
    const items = Array.from({ length: 40 }, (_, i) => ({ key: Buffer.alloc(32_768, i), value: text("v") }))
    const given = [{ name: "authUsers", items }]
    assertSame(readDatabase(written(given)), given)
    assert.throws(() => written([{ name: "b", items: [{ key: Buffer.alloc(32_769, 1), value: text("") }] }]), "32769")
    assert.throws(() => written([{ name: "b", items: [{ key: text(""), value: text("") }] }]), "a key of 0 bytes")
  })

  it("refuses keys and buckets out of order", () => {
    const item = (key: string) => ({ key: text(key), value: text("") })
    assert.throws(() => written([{ name: "b", items: [item("b"), item("a")] }]), "ascend")
    assert.throws(() => written([{ name: "b", items: [item("a"), item("a")] }]), "ascend")
    const none = (name: string) => ({ name, items: [] })
    assert.throws(() => written([none("b"), none("a")]), "ascend")
  })

  it("needs memory for what is not taken yet, not for what has been put", () => {
    const writer = new DatabaseWriter()
    writer.bucket("key")
    const key = new Uint8Array(17)
    const view = new DataView(key.buffer)
    const value = new Uint8Array(1000)
    let largest = 0
    for (let i = 1; i <= 100_000; i++) {
      view.setUint32(4, i)
      writer.put(key, value)
      if (i % 500 === 0) largest = Math.max(largest, writer.take().length)
    }
    writer.finish()
    assert.isBelow(largest, 1_100_000)
    assert.isAbove(writer.fileBytes, 100_000_000)
  })
})
