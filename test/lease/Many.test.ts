/** A hundred thousand leases on a whole node: what they cost, and that they go at the rate at which etcd lets them go. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { Deadlines } from "../../src/core/lease/Deadlines.ts"
import { LeaseTable } from "../../src/core/lease/LeaseTable.ts"
import { encodeOp } from "../../src/core/log/op.ts"
import { CommittedOps } from "../../src/core/state/CommittedOps.ts"
import { Kv } from "../../src/services/Kv.ts"
import { Leases } from "../../src/services/Leases.ts"
import { ReplicatedState } from "../../src/services/ReplicatedState.ts"
import { asEffect, bytes, makeWorld, startNode } from "../node/world.ts"
import { running } from "./node.ts"

const count = 100_000
/** A node takes so many writes in flight at once. */
const together = 1_000

const inBatches = (call: (id: bigint) => Effect.Effect<unknown, unknown, Kv | Leases>) =>
  Effect.gen(function* () {
    for (let from = 1; from <= count; from += together) {
      yield* Effect.all(
        Array.from({ length: together }, (_, i) => call(BigInt(from + i))),
        { concurrency: "unbounded", discard: true }
      )
    }
  })

setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc") as () => void
const usedBytes = (): number => {
  collect()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

describe("a hundred thousand leases", () => {
  it("cost less than a kilobyte each, one key included", () => {
    const empty = usedBytes()
    const table = new LeaseTable()
    const deadlines = new Deadlines(0)
    const committed = new CommittedOps()
    for (let id = 1n; id <= count; id++) {
      const op = { kind: "leaseGrant", id, ttlSeconds: 60, remainingTtlSeconds: 0 } as const
      committed.apply(op, encodeOp(op))
      table.put(op)
      table.moved(`key/${id}`, 0n, id)
      deadlines.add(id, 60, 60_000 + Number(id % 1000n))
    }
    assert.isBelow((usedBytes() - empty) / count, 1024)
    assert.deepStrictEqual([table.size, deadlines.size, committed.ops(-1).length], [count, count, count])
  })

  it.effect(
    "are granted, hold their keys, are kept alive, and run out at a thousand a second, none early",
    () =>
      Effect.gen(function* () {
        const node = yield* running(startNode(makeWorld()))
        yield* running(
          node.use(inBatches((id) => Leases.use((leases) => asEffect((reply) => leases.grant({ ttl: 60, id }, reply)))))
        )
        yield* running(
          node.use(
            inBatches((id) =>
              Kv.use((kv) =>
                asEffect((reply) =>
                  kv.put(
                    {
                      key: bytes(`key/${id}`),
                      value: bytes("v"),
                      lease: id,
                      prevKv: false,
                      ignoreValue: false,
                      ignoreLease: false
                    },
                    reply
                  )
                )
              )
            )
          )
        )
        const left = node.use(ReplicatedState.use((state) => Effect.sync(() => state.leases.size)))

        yield* TestClock.adjust(30_000)
        const begun = process.hrtime.bigint()
        yield* node.use(
          Leases.use((leases) =>
            Effect.sync(() => {
              let answers = 0
              const stream = leases.keepAlives({ send: () => ++answers > 0, ended: () => {} })
              for (let id = 1; id <= count; id++) stream.renew(BigInt(id))
              assert.strictEqual(answers, count)
            })
          )
        )
        const seconds = Number(process.hrtime.bigint() - begun) / 1e9
        // On one core, next to whatever else the machine does.
        assert.isAbove(count / seconds, 40_000)

        yield* TestClock.adjust(59_900)
        assert.strictEqual(yield* left, count)
        yield* TestClock.adjust(1_100)
        for (let second = 1; second <= 10; second++) {
          const before = yield* left
          yield* TestClock.adjust(1_000)
          assert.strictEqual(before - (yield* left), 1_000)
        }
        yield* TestClock.adjust(95_000)
        assert.strictEqual(yield* left, 0)
        yield* running(node.stop)
      }),
    120_000
  )
})
