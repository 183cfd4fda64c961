/**
 * What time says about revisions: one that anybody saw before an operation began is a floor for it. A read shows that
 * one or a later one, a write takes a later one.
 */
import type { History, Operation } from "./history.ts"
import type { Problem } from "./verdict.ts"

/** Somebody knew at that time that the revision was there. */
interface Sight {
  readonly at: number
  readonly revision: number
  /** Undefined: a watch. */
  readonly by: Operation | undefined
  readonly who: string
}

export interface Bounds {
  /** The newest revision that anybody saw. */
  readonly newest: number
  /** The newest revision known when the operation began. */
  readonly floor: (operation: Operation) => number
  readonly floorBy: (operation: Operation) => Sight | undefined
}

/**
 * Serializable answers and bookmarks count like all others: they may be old, but what they show is committed, so what
 * begins later must see it.
 */
const sightsOf = (history: History): Array<Sight> => {
  const sights: Array<Sight> = []
  for (const by of history.operations) {
    if (by.outcome.kind !== "ok") continue
    const { revision } = by.outcome.answer
    sights.push({ at: by.returned, revision, by, who: `#${by.id}` })
  }
  for (const watch of history.watches) {
    for (const { at, revision } of watch.responses)
      sights.push({ at, revision, by: undefined, who: `the watch of ${watch.client}` })
  }
  return sights.sort((a, b) => a.at - b.at)
}

export const boundsOf = (history: History): Bounds => {
  const sights = sightsOf(history)
  const floors = new Map<Operation, Sight>()
  let best: Sight | undefined
  let next = 0
  for (const operation of [...history.operations].sort((a, b) => a.invoked - b.invoked)) {
    // In the same instant is not before.
    for (; next < sights.length && sights[next]!.at < operation.invoked; next++) {
      const sight = sights[next]!
      if (sight.revision > (best?.revision ?? 0)) best = sight
    }
    if (best !== undefined) floors.set(operation, best)
  }
  let newest = history.initial?.revision ?? 1
  for (const { revision } of sights) newest = Math.max(newest, revision)
  return {
    newest,
    floor: (operation) => floors.get(operation)?.revision ?? 0,
    floorBy: (operation) => floors.get(operation)
  }
}

/** A floor that is not kept. */
export const staleness = (
  operation: Operation,
  revision: number,
  writes: boolean,
  bounds: Bounds
): Problem | undefined => {
  const sight = bounds.floorBy(operation)
  if (sight === undefined) return undefined
  if (writes ? revision > sight.revision : revision >= sight.revision) return undefined
  return {
    what: writes
      ? `#${operation.id} wrote revision ${revision}, but ${sight.who} had seen ${sight.revision} before it began`
      : `#${operation.id} showed revision ${revision}, but ${sight.who} had seen ${sight.revision} before it began`,
    operations: sight.by === undefined ? [operation] : [sight.by, operation]
  }
}
