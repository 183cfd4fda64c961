/**
 * A distributed lock. Each worker reads, thinks, writes: without the lock they would undo each other's work. A worker that
 * dies loses the lock when its lease runs out; one that only believes to hold it cannot write.
 */
import { Effect } from "effect"
import { Client, Netsy, Txn } from "netsy"

class NoLongerMine extends Error {
  readonly _tag = "NoLongerMine"
}

const addOne = Effect.gen(function* () {
  const client = yield* Client
  // Interrupted, and failed with LeaseLost, should the lock be lost.
  yield* client.withLock(
    "locks/counter",
    Effect.fnUntraced(function* (lock) {
      const before = Number((yield* client.get("counter"))?.value ?? 0)
      yield* Effect.sleep("2 millis")
      // Fenced: the write and the proof that the lock is still held are one transaction.
      const { succeeded } = yield* client.txn({
        if: [Txn.present(lock.key)],
        then: [Txn.put("counter", String(before + 1))]
      })
      if (!succeeded) return yield* Effect.fail(new NoLongerMine())
    }),
    { ttl: "10 seconds" }
  )
})

const worker = Effect.repeat(addOne, { times: 9 })

const program = Effect.gen(function* () {
  const client = yield* Client
  yield* Effect.all([worker, worker, worker], { concurrency: "unbounded" })
  console.log(`counter: ${(yield* client.get("counter"))?.value}`)
  console.log(`still locked: ${(yield* client.count({ prefix: "locks/" })) > 0}`)
})

await program.pipe(Effect.provide(Netsy.layerMemory()), Effect.runPromise)
