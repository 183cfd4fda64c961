import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { type Batch, Pipeline } from "../../src/core/log/pipeline.ts"
import { emptyBytes, type Entry, type LogRecord } from "../../src/core/log/record.ts"
import { WaiterQueue } from "../../src/core/log/waiters.ts"

const entry = (index: number, term = 1): Entry => ({
  index,
  term,
  revision: index,
  records: [{ index, term, revision: index, key: emptyBytes, value: emptyBytes } as LogRecord]
})

const limits = { batchBytesMax: 30, batchEntriesMax: 3, putsInFlightMax: 2, inFlightBytesMax: 100 }
const start = { headIndex: 5, headTerm: 1, commitIndex: 5, storedIndex: 5 }

describe("the pipeline", () => {
  it("closes a batch after the entry that passes a limit and keeps the rest open", () => {
    const p = new Pipeline(start, limits)
    for (let i = 6; i <= 10; i++) p.append(entry(i), 10)
    assert.isTrue(p.isFull())
    const first = p.close(() => 10)
    assert.deepStrictEqual([first.first, first.last, first.prevTerm], [6, 8, 1])
    const second = p.close(() => 10)
    assert.deepStrictEqual([second.first, second.last], [9, 10])
    assert.isFalse(p.canClose())
  })

  it("commits in order although the second PUT is known first, and only what is on disk too", () => {
    const p = new Pipeline(start, limits)
    p.append(entry(6), 10)
    const a = p.close(() => 10)
    p.append(entry(7), 10)
    const b = p.close(() => 10)
    p.stored(b)
    p.persisted(a)
    p.persisted(b)
    assert.strictEqual(p.committable(1), 5)
    p.stored(a)
    assert.strictEqual(p.storedIndex, 7)
    assert.strictEqual(p.committable(1), 7)
    assert.strictEqual(p.committable(2), 5, "entries of an older term only count under one of this term")
    assert.deepStrictEqual(
      p.commit(7).map((x) => x.last),
      [6, 7]
    )
    assert.strictEqual(p.inFlightBytes, 0)
  })

  it("has no room above its limit of bytes in flight until something is committed", () => {
    const p = new Pipeline(start, limits)
    for (let i = 6; i <= 15; i++) p.append(entry(i), 10)
    assert.isFalse(p.hasRoom())
    const batch = p.close(() => 10)
    p.stored(batch)
    p.persisted(batch)
    p.commit(p.committable(1))
    assert.isTrue(p.hasRoom())
  })

  it("hands out everything from an entry to the head for a chunk that has to end elsewhere", () => {
    const p = new Pipeline(start, limits)
    p.append(entry(6), 10)
    p.close(() => 10)
    p.append(entry(7), 10)
    p.append(entry(8), 10)
    assert.deepStrictEqual(
      p.entriesFrom(6).map((e) => e.index),
      [6, 7, 8]
    )
  })

  it("refuses a gap, a lower term and a commit of what is not durable", () => {
    const p = new Pipeline(start, limits)
    assert.throws(() => p.append(entry(7), 1), /does not follow/)
    assert.throws(() => p.append(entry(6, 0), 1), /lower term/)
    p.append(entry(6), 1)
    assert.throws(() => p.commit(6), /before it was stored/)
  })

  const Op = Schema.Literals(["append", "close", "store", "persist", "commit"])
  it.effect.prop(
    "never commits beyond what is contiguous in the bucket and on disk",
    [Schema.Array(Schema.Tuple([Op, Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 }))]))],
    ([ops]) =>
      Effect.sync(() => {
        const p = new Pipeline(start, { ...limits, inFlightBytesMax: 1e9 })
        const closed: Array<Batch> = []
        const stored = new Set<number>()
        let persisted = 5
        const unstored: Array<Batch> = []
        for (const [op, n] of ops) {
          if (op === "append") p.append(entry(p.headIndex + 1), 10)
          else if (op === "close" && p.canClose()) {
            const batch = p.close(() => 10)
            closed.push(batch)
            unstored.push(batch)
          } else if (op === "store" && unstored.length > 0) {
            const [batch] = unstored.splice(n % unstored.length, 1)
            p.stored(batch!)
            for (const e of batch!.entries) stored.add(e.index)
          } else if (op === "persist") {
            const batch = closed.find((b) => b.first === persisted + 1)
            if (batch !== undefined) {
              p.persisted(batch)
              persisted = batch.last
            }
          } else if (op === "commit") p.commit(p.committable(1))
          let contiguous = 5
          while (stored.has(contiguous + 1)) contiguous++
          assert.strictEqual(p.storedIndex, contiguous)
          assert.isAtMost(p.commitIndex, Math.min(contiguous, persisted))
        }
        p.commit(p.committable(1))
        let contiguous = 5
        while (stored.has(contiguous + 1)) contiguous++
        assert.strictEqual(p.commitIndex, Math.min(contiguous, persisted))
      }),
    { arbitrary: { runs: 300, seed: "pipeline" } }
  )
})

describe("waiters", () => {
  const log: Array<string> = []
  const waiter = (name: string) => ({
    done: () => void log.push(`${name} done`),
    failed: (e: { message: string }) => void log.push(`${name} ${e.message}`)
  })

  it("are told in order, once, and fail when their time is over", () => {
    const queue = new WaiterQueue()
    queue.push(1, 100, waiter("a"))
    queue.push(1, 110, waiter("b"))
    queue.push(3, 120, waiter("c"))
    queue.push(4, 130, waiter("d"))
    assert.strictEqual(queue.expire(115, { _tag: "EtcdError", code: 14, message: "late" }), 2)
    queue.complete(3)
    queue.failAll({ _tag: "EtcdError", code: 14, message: "stopped" })
    assert.deepStrictEqual(log, ["a late", "b late", "c done", "d stopped"])
    assert.strictEqual(queue.size, 0)
    assert.throws(() => {
      queue.push(9, 1, waiter("e"))
      queue.push(8, 1, waiter("f"))
    }, /ascending/)
  })
})
