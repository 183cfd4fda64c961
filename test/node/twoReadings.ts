/**
 * A reader that does not look behind the newest snapshot finds what one finds that trusts nobody (design 6.5): every
 * bucket that a cluster can leave behind shows whether what it relies on is so.
 */
import { Effect, Layer } from "effect"
import { indexOfKey } from "../../src/core/datafile/keys.ts"
import { arbiterKey, decodeArbiter } from "../../src/core/election/arbiter.ts"
import * as HistoryBucket from "../../src/layers/HistoryBucket.ts"
import * as ObjectStoreMemory from "../../src/layers/ObjectStoreMemory.ts"
import { type BucketHistory, History, type ReadOptions } from "../../src/services/History.ts"

const reading = (bucket: ObjectStoreMemory.MemoryBucket, options: ReadOptions) =>
  History.use((history) => history.read(options)).pipe(
    Effect.provide(Layer.fresh(HistoryBucket.layer.pipe(Layer.provide(ObjectStoreMemory.layer({ bucket }))))),
    Effect.match({ onSuccess: shown, onFailure: (error) => error.message })
  )

const shown = (found: BucketHistory): string => {
  const from = found.snapshot?.last.index ?? 1
  const terms = Array.from({ length: Math.max(0, found.last.index - from + 1) }, (_, i) => found.termAt(from + i))
  const { chunkBytes, highestTerm, last, lastRevision, snapshot } = found
  const taken = [...found.takenKeys].sort((a, b) => a - b)
  return JSON.stringify({ last, lastRevision, highestTerm, snapshot, chunkBytes, taken, terms })
}

/** What is wrong; "" when nothing is, undefined when there is nothing behind a snapshot. */
export const compareReadings = async (bucket: ObjectStoreMemory.MemoryBucket): Promise<string | undefined> => {
  const indexes = (prefix: string) => bucket.list({ prefix }).objects.flatMap(({ key }) => indexOfKey(key) ?? [])
  const newest = Math.max(0, ...indexes("snapshots/"))
  const object = bucket.get(arbiterKey)
  if (object === undefined || !indexes("chunks/").some((index) => index <= newest)) return undefined
  const arbiter = decodeArbiter(object.body)
  if (typeof arbiter === "string") return arbiter
  const quick = await Effect.runPromise(reading(bucket, { recoveredTerm: arbiter.recovered?.term }))
  const whole = await Effect.runPromise(reading(bucket, { recoveredTerm: "unknown" }))
  return quick === whole ? "" : `without a look behind the snapshot a reader finds ${quick}, with it ${whole}`
}
