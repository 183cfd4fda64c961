/** A reader of bbolt files that trusts nothing: it checks numbers, flags, order and that every page is used once. */
import { assert } from "@effect/vitest"

export interface Item {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

export interface Bucket {
  readonly name: string
  readonly items: ReadonlyArray<Item>
  /** Levels of its tree; 1 is a single leaf. */
  readonly depth: number
}

const pageSize = 4096

const fnv = (bytes: Uint8Array): bigint => {
  let hash = 14695981039346656037n
  for (const byte of bytes) {
    hash ^= BigInt(byte)
    hash = (hash * 1099511628211n) & 0xffffffffffffffffn
  }
  return hash
}

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1")

export const readDatabase = (file: Uint8Array): ReadonlyArray<Bucket> => {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const number = (at: number): number => Number(view.getBigUint64(at, true))
  const used = new Set<number>([0, 1])

  const metaAt = (page: number) => {
    const at = page * pageSize
    assert.strictEqual(number(at), page)
    assert.strictEqual(view.getUint16(at + 8, true), 4)
    const meta = at + 16
    assert.strictEqual(view.getUint32(meta, true), 0xed0cdaed)
    assert.strictEqual(view.getUint32(meta + 4, true), 2)
    assert.strictEqual(view.getUint32(meta + 8, true), pageSize)
    assert.strictEqual(view.getBigUint64(meta + 56, true), fnv(file.subarray(meta, meta + 56)))
    const txid = number(meta + 48)
    assert.strictEqual(txid % 2, page)
    return { root: number(meta + 16), freelist: number(meta + 32), pages: number(meta + 40) }
  }
  const meta = metaAt(0)
  assert.deepStrictEqual(metaAt(1), meta)
  assert.strictEqual(file.length, meta.pages * pageSize)
  assert.strictEqual(view.getUint16(meta.freelist * pageSize + 8, true), 16)
  assert.strictEqual(view.getUint16(meta.freelist * pageSize + 10, true), 0)
  used.add(meta.freelist)

  const page = (id: number) => {
    const at = id * pageSize
    assert.strictEqual(number(at), id, `page ${id} says another number`)
    const overflow = view.getUint32(at + 12, true)
    for (let i = id; i <= id + overflow; i++) {
      assert.isFalse(used.has(i), `page ${i} is used twice`)
      assert.isBelow(i, meta.pages)
      used.add(i)
    }
    const end = at + (overflow + 1) * pageSize
    return { at, end, flags: view.getUint16(at + 8, true), count: view.getUint16(at + 10, true) }
  }

  interface Found extends Item {
    readonly flags: number
  }
  /** Everything below a page, which begins with `first` if that is known. */
  const walk = (id: number, into: Array<Found>, first: Uint8Array | undefined): number => {
    const { at, count, end, flags } = page(id)
    if (flags === 2) {
      for (let i = 0; i < count; i++) {
        const element = at + 16 + i * 16
        const from = element + view.getUint32(element + 4, true)
        const keyEnd = from + view.getUint32(element + 8, true)
        const valueEnd = keyEnd + view.getUint32(element + 12, true)
        assert.isAtMost(valueEnd, end)
        const key = file.subarray(from, keyEnd)
        const before = into[into.length - 1]
        assert.isTrue(before === undefined || latin1(before.key) < latin1(key), "keys ascend")
        if (i === 0 && first !== undefined) assert.strictEqual(latin1(key), latin1(first))
        into.push({ key, value: file.subarray(keyEnd, valueEnd), flags: view.getUint32(element, true) })
      }
      return 1
    }
    assert.strictEqual(flags, 1, `page ${id} is neither leaf nor branch`)
    assert.isAtLeast(count, 2)
    let depth: number | undefined
    for (let i = 0; i < count; i++) {
      const element = at + 16 + i * 16
      const from = element + view.getUint32(element, true)
      const keyEnd = from + view.getUint32(element + 4, true)
      assert.isAtMost(keyEnd, end)
      const below = walk(number(element + 8), into, file.subarray(from, keyEnd))
      assert.isTrue(depth === undefined || depth === below, "all leaves are equally deep")
      depth = below
    }
    return depth! + 1
  }

  const root: Array<Found> = []
  walk(meta.root, root, undefined)
  const buckets = root.map(({ flags, key, value }): Bucket => {
    assert.strictEqual(flags, 1)
    assert.strictEqual(value.length, 16)
    const items: Array<Found> = []
    const rootPage = Number(new DataView(value.buffer, value.byteOffset).getBigUint64(0, true))
    const depth = walk(rootPage, items, undefined)
    for (const item of items) assert.strictEqual(item.flags, 0)
    return { name: latin1(key), items, depth }
  })
  assert.strictEqual(used.size, meta.pages, "every page is used")
  return buckets
}
