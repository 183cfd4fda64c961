/**
 * A work queue: every job is done at least once, also when workers die. A worker claims a job with a key that ends with its
 * lease; a job is deleted together with the claim, in one transaction. A claim that ends by itself wakes the others.
 */
import { Effect, Schema, Stream } from "effect"
import { Client, type Entry, type Lease, Netsy, Txn } from "netsy"

const Job = Schema.Struct({ greet: Schema.String })
const jobs = { prefix: "queue/jobs/" }
const claims = { prefix: "queue/claims/" }
const claimOf = (job: Entry): string => job.key.replace(jobs.prefix, claims.prefix)

const submit = Effect.fnUntraced(function* (id: number, greet: string) {
  const queue = (yield* Client).json(Job)
  yield* queue.put(`${jobs.prefix}${String(id).padStart(9, "0")}`, { greet })
})

/** False: it is done, or somebody else is at it. The claim lives as long as the lease. */
const claimJob = Effect.fnUntraced(function* (name: string, lease: bigint, job: Entry) {
  const claim = claimOf(job)
  const { succeeded } = yield* (yield* Client).txn({
    if: [Txn.present(job.keyBytes), Txn.absent(claim)],
    then: [Txn.put(claim, name, { lease })]
  })
  return succeeded
})

const work = (name: string) =>
  Effect.gen(function* () {
    const client = yield* Client
    const rounds = Effect.fnUntraced(function* ({ id }: Lease) {
      for (;;) {
        const { entries, revision } = yield* client.range(jobs)
        for (const job of entries) {
          if (!(yield* claimJob(name, id, job))) continue
          const { greet } = yield* client.json(Job).decode(job)
          console.log(`${name}: hello ${greet}`)
          yield* client.txn({
            if: [Txn.lease(claimOf(job), "=", id)],
            then: [Txn.delete(job.keyBytes), Txn.delete(claimOf(job))]
          })
        }
        // A new job, or the end of a claim. Nothing is missed: it begins where the look ended.
        const news = client.watch({ prefix: "queue/" }, { revision: revision + 1 })
        yield* Stream.runHead(news)
      }
    })
    return yield* client.withLease({ ttl: "2 seconds" }, rounds)
  })

/** Claims a job and is never heard of again: nobody keeps its lease alive. */
const crash = Effect.gen(function* () {
  const client = yield* Client
  const { id } = yield* client.grant("2 seconds")
  const { entries } = yield* client.range(jobs, { limit: 1 })
  yield* claimJob("worker 0", id, entries[0]!)
  console.log(`worker 0 has claimed ${entries[0]!.key} and dies`)
})

const allDone = Effect.gen(function* () {
  const client = yield* Client
  yield* client.watch(jobs, { revision: 1, only: "delete" }).pipe(Stream.take(6), Stream.runDrain)
  console.log(`${yield* client.count(jobs)} jobs are left`)
})

const program = Effect.gen(function* () {
  for (const [i, who] of ["Ada", "Alan", "Barbara", "Edsger", "Grace", "Leslie"].entries()) yield* submit(i, who)
  yield* crash
  yield* Effect.raceFirst(allDone, Effect.all([work("worker 1"), work("worker 2")], { concurrency: 2 }))
})

await program.pipe(Effect.provide(Netsy.layerMemory()), Effect.runPromise)
