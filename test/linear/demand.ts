/**
 * What later answers demand of a key, so that a wrong guess about an unknown outcome shows at once and not thousands of
 * revisions later: between two sights of a key its version says how many puts there were.
 */
import type { History, Kv, Request, Result } from "./history.ts"
import type { Change } from "./model.ts"

/** Sorted numbers; how many are in (after, upTo]. */
const countIn = (sorted: ReadonlyArray<number>, after: number, upTo: number): number =>
  Math.max(0, firstAbove(sorted, upTo) - firstAbove(sorted, after))

const firstAbove = (sorted: ReadonlyArray<number>, limit: number): number => {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sorted[middle]! > limit) high = middle
    else low = middle + 1
  }
  return low
}

interface Known {
  /** What was seen of the key, by the revision that wrote it. */
  readonly sights: Map<number, Kv>
  sightRevisions: Array<number>
  /** Revisions at which it was seen to be absent. */
  absent: Array<number>
  /** Revisions of acknowledged puts. */
  puts: Array<number>
}

const neutral = 1e15

export class Demand {
  readonly #keys = new Map<string, Known>()
  readonly #owned: Array<number> = []

  constructor(history: History) {
    for (const { outcome, request } of history.operations) {
      if (outcome.kind !== "ok") continue
      const { result, revision } = outcome.answer
      const historic = request.kind === "get" ? (request.revision ?? 0) : 0
      if (this.#visit(request, result, historic > 0 ? historic : revision)) this.#owned.push(revision)
    }
    this.#owned.sort((a, b) => a - b)
    for (const known of this.#keys.values()) {
      known.sightRevisions = [...known.sights.keys()].sort((a, b) => a - b)
      known.absent.sort((a, b) => a - b)
      known.puts.sort((a, b) => a - b)
    }
  }

  #key(key: string): Known {
    let known = this.#keys.get(key)
    if (known === undefined) {
      known = { sights: new Map(), sightRevisions: [], absent: [], puts: [] }
      this.#keys.set(key, known)
    }
    return known
  }

  /** Whether it wrote. */
  #visit(request: Request, result: Result, revision: number): boolean {
    if (request.kind === "put" && result.kind === "put") {
      this.#key(request.key).puts.push(revision)
      return true
    }
    if (request.kind === "delete" && result.kind === "delete") {
      if ((request.end ?? "") === "") this.#key(request.key).absent.push(revision)
      return result.deleted > 0
    }
    if (request.kind === "get" && result.kind === "get") {
      for (const kv of result.kvs) this.#key(kv.key).sights.set(kv.mod, kv)
      if (result.count === 0 && (request.end ?? "") === "") this.#key(request.key).absent.push(revision)
      return false
    }
    let wrote = false
    if (request.kind === "txn" && result.kind === "txn")
      for (const [i, one] of (result.succeeded ? request.success : request.failure).entries())
        wrote = this.#visit(one, result.results[i]!, revision) || wrote
    return wrote
  }

  #nextSight(known: Known, revision: number): Kv | undefined {
    const at = known.sightRevisions[firstAbove(known.sightRevisions, revision)]
    return at === undefined ? undefined : known.sights.get(at)
  }

  /** Why these cannot be the changes of that revision, as far as later sights of the keys say. */
  impossible(revision: number, changes: ReadonlyArray<Change>): string | undefined {
    for (const { after, key } of changes) {
      const known = this.#keys.get(key)
      const sight = known === undefined ? undefined : this.#nextSight(known, revision)
      if (known === undefined || sight === undefined || sight.create > revision) continue
      const seen = `${key} is seen as of revision ${sight.mod} with version ${sight.version}, created at ${sight.create}`
      if (after === undefined || after.create !== sight.create) return seen
      const puts = sight.version - after.version
      const acknowledged = countIn(known.puts, revision, sight.mod)
      const free = sight.mod - revision - countIn(this.#owned, revision, sight.mod)
      if (puts < Math.max(1, acknowledged) || puts > acknowledged + free) return seen
    }
    return undefined
  }

  /** The lower, the sooner these changes are needed. */
  urgency(revision: number, changes: ReadonlyArray<Change>): number {
    let soonest = neutral
    for (const { after, before, key } of changes) {
      const known = this.#keys.get(key)
      if (known === undefined) continue
      const sight = this.#nextSight(known, revision)
      const absent = known.absent[firstAbove(known.absent, revision)]
      if (after === undefined) {
        const until = Math.min(absent ?? Infinity, sight === undefined ? Infinity : sight.create)
        if (before !== undefined && until < Infinity) soonest = Math.min(soonest, until)
        continue
      }
      if (sight === undefined || sight.create > revision) {
        // It would have to be deleted again.
        if (before === undefined && (sight !== undefined || absent !== undefined)) return neutral * 2
        continue
      }
      // Versions that nobody has acknowledged.
      const missing = sight.version - (after.version - 1) - countIn(known.puts, revision, sight.mod)
      if (missing > 0) soonest = Math.min(soonest, sight.mod)
    }
    return soonest
  }
}
