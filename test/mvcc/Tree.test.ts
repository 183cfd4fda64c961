import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { type Countable, CountedTree, lowerBound, maxEntries } from "../../src/core/mvcc/tree.ts"

interface Cell extends Countable {
  live: boolean
}

const scanFrom = (tree: CountedTree<Cell>, key: string): Array<string> => {
  const found: Array<string> = []
  let leaf = tree.seek(key) as ReturnType<typeof tree.seek> | undefined
  for (let at = lowerBound(leaf!.keys, key); leaf !== undefined; leaf = leaf.next, at = 0)
    found.push(...leaf.keys.slice(at))
  return found
}

const Step = Schema.Struct({
  key: Schema.Union([
    Schema.Literals(["", "\0", "a", "ab", "a\0", "b", "\xff", "\xff\xff"]),
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 400 }))
  ]),
  live: Schema.Boolean,
  weight: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 }))
})

/** Everything the tree says, against a sorted array. */
const checkAgainst = (tree: CountedTree<Cell>, model: Map<string, Cell>, probes: ReadonlyArray<string>) => {
  const keys = [...model.keys()].sort()
  assert.strictEqual(tree.size, keys.length)
  assert.strictEqual(tree.live, keys.filter((key) => model.get(key)!.live).length)
  for (const probe of probes) {
    assert.deepStrictEqual(
      scanFrom(tree, probe),
      keys.filter((key) => key >= probe)
    )
    assert.strictEqual(tree.liveBelow(probe), keys.filter((key) => key < probe && model.get(key)!.live).length)
  }
}

describe("CountedTree", () => {
  it.prop(
    "agrees with a sorted array after any inserts, deletes and changes of what is live",
    [Arbitrary.array(Arbitrary.schema(Step), { minLength: 0, maxLength: 700 })],
    ([steps]) => {
      const tree = new CountedTree<Cell>()
      const model = new Map<string, Cell>()
      steps.forEach(({ key, live, weight }, at) => {
        const name = typeof key === "number" ? `k${key}` : key
        const cell = model.get(name)
        if (cell === undefined) {
          const fresh = { live }
          model.set(name, fresh)
          tree.insert(name, fresh)
        } else if (weight < 4) {
          model.delete(name)
          tree.delete(name)
        } else if (cell.live !== live) {
          cell.live = live
          tree.adjust(name, live ? 1 : -1)
        }
        if (at % 16 === 0) checkAgainst(tree, model, [name])
      })
      checkAgainst(tree, model, ["", "\0", "a", "k", "k2", "\xff", "\xff\xff\xff\xff\xff"])
    },
    { arbitrary: { runs: 60, seed: "counted tree", size: 700 } }
  )

  it("holds ten thousand keys inserted in ascending, descending and scattered order, and gives all of them back", () => {
    const count = 10_000
    for (const order of [(i: number) => i, (i: number) => count - 1 - i, (i: number) => (i * 7919) % count]) {
      const tree = new CountedTree<Cell>()
      const name = (i: number) => String(order(i)).padStart(6, "0")
      for (let i = 0; i < count; i++) tree.insert(name(i), { live: true })
      assert.strictEqual(tree.size, count)
      for (let i = 0; i < count; i += 97) assert.strictEqual(tree.liveBelow(name(i)), order(i))
      for (let i = 0; i < count; i++) {
        tree.delete(name(i))
        if (i % 1000 === 0) assert.strictEqual(scanFrom(tree, "").length, count - 1 - i)
      }
      assert.strictEqual(tree.size, 0)
      assert.strictEqual(tree.live, 0)
      assert.deepStrictEqual(scanFrom(tree, ""), [])
    }
  })

  it("fills its leaves when keys arrive in ascending order", () => {
    const tree = new CountedTree<Cell>()
    for (let i = 0; i < 64 * 50; i++) tree.insert(String(i).padStart(6, "0"), { live: true })
    let leaves = 0
    for (let leaf = tree.seek("") as ReturnType<typeof tree.seek> | undefined; leaf !== undefined; leaf = leaf.next)
      leaves++
    assert.isAtMost(leaves, (64 * 50) / (maxEntries - 2) + 1)
  })

  it("refuses a key that is there twice and the deletion of one that is not there", () => {
    const tree = new CountedTree<Cell>()
    tree.insert("a", { live: true })
    assert.throws(() => tree.insert("a", { live: true }), /inserted once/)
    assert.throws(() => tree.delete("b"), /is there is deleted/)
  })
})
