import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { IntervalTree } from "../../src/core/watch/IntervalTree.ts"
import { noEnd } from "../../src/core/watch/keys.ts"

const Key = Schema.Literals(["", "\0", "a", "aa", "ab", "b", "ba", "c", "\xff", noEnd])
const Op = Schema.Struct({ begin: Key, end: Key, again: Schema.Boolean })

describe("IntervalTree", () => {
  it.prop(
    "finds exactly the ranges that hold a key, whatever was added and removed",
    [Schema.Array(Op)],
    ([ops]) => {
      const tree = new IntervalTree<number>()
      const model: Array<{ readonly begin: string; readonly end: string; readonly value: number }> = []
      for (const [value, { again, begin, end }] of ops.entries()) {
        const there = model.findIndex((range) => range.begin === begin && range.end === end)
        if (there >= 0 && !again) {
          const [range] = model.splice(there, 1)
          tree.remove(begin, end, range!.value)
        } else if (begin < end) {
          model.push({ begin, end, value })
          tree.add(begin, end, value)
        }
        for (const key of ["", "\0", "a", "aa", "aab", "b", "bb", "c", "\xff", "\xff\xff"]) {
          const found: Array<number> = []
          tree.collect(key, found)
          const wanted = model.filter((range) => range.begin <= key && key < range.end).map((range) => range.value)
          assert.deepStrictEqual(
            found.sort((a, b) => a - b),
            wanted.sort((a, b) => a - b)
          )
        }
      }
    },
    { arbitrary: { runs: 300, seed: "interval tree" } }
  )

  it("stays balanced when ranges come and go in order", () => {
    const tree = new IntervalTree<number>()
    const name = (i: number) => String(i).padStart(6, "0")
    for (let i = 0; i < 10_000; i++) tree.add(name(i), `${name(i)}~`, i)
    assert.isAtMost(tree.height, 20)
    for (let i = 0; i < 9_000; i++) tree.remove(name(i), `${name(i)}~`, i)
    assert.isAtMost(tree.height, 15)
    const found: Array<number> = []
    tree.collect(name(9_500), found)
    assert.deepStrictEqual(found, [9_500])
  })

  it("refuses to remove what is not there", () => {
    const tree = new IntervalTree<number>()
    tree.add("a", "b", 1)
    assert.throws(() => tree.remove("a", "c", 1), /not in it/)
    assert.throws(() => tree.remove("a", "b", 2), /not in it/)
  })
})
