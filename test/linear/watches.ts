/**
 * What a watch owes: from its first revision on every change of its keys once, in order, a revision's changes in one
 * response, and bookmarks only behind what it has delivered. The first half is seen in the watch alone (`streamProblem`),
 * the second in comparison with the changes of each revision (`Watched`).
 */
import { covers, type Watch, type WatchEvent } from "./history.ts"
import { type Change, sameKv } from "./model.ts"
import type { Problem } from "./verdict.ts"

const problem = (watch: Watch, what: string): Problem => ({
  what: `the watch of ${watch.client} from ${watch.from} ${what}`,
  operations: []
})

export const streamProblem = (watch: Watch): Problem | undefined => {
  let last = watch.from - 1
  let open = false
  let bookmark = 0
  const keys = new Set<string>()
  for (const response of watch.responses) {
    let first = true
    for (const { key, revision } of response.events) {
      if (!covers(watch, key)) return problem(watch, `got revision ${revision} of ${key}, which is not asked for`)
      if (revision < last) return problem(watch, `got revision ${revision} after ${last}`)
      if (revision > last) keys.clear()
      else if (keys.has(key)) return problem(watch, `got revision ${revision} of ${key} twice`)
      else if (!keys.size) return problem(watch, `got revision ${revision}, which is before what it asked for`)
      else if (first && !open) return problem(watch, `got revision ${revision} in two responses`)
      if (revision <= bookmark) return problem(watch, `got revision ${revision} after a bookmark at ${bookmark}`)
      keys.add(key)
      last = revision
      first = false
    }
    open = response.fragment
    if (response.events.length > 0 && response.revision < last)
      return problem(watch, `got revision ${last} under a header of ${response.revision}`)
    if (response.events.length === 0) bookmark = Math.max(bookmark, response.revision)
  }
  return undefined
}

/** One watch's revisions by number, and up to where it has delivered everything. */
interface Delivered {
  readonly watch: Watch
  readonly upTo: number
  readonly events: ReadonlyMap<number, ReadonlyArray<WatchEvent>>
}

const deliveredOf = (watch: Watch): Delivered => {
  const events = new Map<number, Array<WatchEvent>>()
  let upTo = watch.from - 1
  for (const response of watch.responses) {
    for (const event of response.events) {
      const there = events.get(event.revision)
      if (there === undefined) events.set(event.revision, [event])
      else there.push(event)
      // The rest of a revision may be in a fragment that never came.
      upTo = Math.max(upTo, response.fragment ? event.revision - 1 : event.revision)
    }
    if (response.events.length === 0) upTo = Math.max(upTo, response.revision)
  }
  return { watch, upTo, events }
}

const agreesWith = (event: WatchEvent, change: Change): boolean =>
  (event.kind === "put") === (change.after !== undefined) &&
  (event.kv === undefined || sameKv(event.kv, change.after)) &&
  (event.previous === undefined || sameKv(event.previous, change.before))

const eventText = (event: WatchEvent): string =>
  event.kind === "delete" ? `${event.key} deleted` : `${event.key}=${event.kv?.value ?? "?"}`
const changeText = ({ after, key }: Change): string =>
  after === undefined ? `${key} deleted` : `${key}=${after.value}`
const listText = (of: ReadonlyArray<string>): string => (of.length === 0 ? "nothing" : of.join(", "))

export class Watched {
  readonly #all: ReadonlyArray<Delivered>

  constructor(watches: ReadonlyArray<Watch>) {
    this.#all = watches.map(deliveredOf)
  }

  /** The values that somebody saw being put at that revision. */
  *putsAt(revision: number): Iterable<WatchEvent> {
    for (const { events } of this.#all) for (const event of events.get(revision) ?? []) yield event
  }

  /** What is wrong if these are the changes of that revision. */
  disagreement(revision: number, changes: ReadonlyArray<Change>): string | undefined {
    for (const { events, upTo, watch } of this.#all) {
      if (revision < watch.from) continue
      const got = events.get(revision) ?? []
      if (got.length === 0 && revision > upTo) continue
      const owed = changes.filter((change) => covers(watch, change.key))
      const wrong =
        got.some((event) => !owed.some((change) => change.key === event.key && agreesWith(event, change))) ||
        (revision <= upTo && got.length !== owed.length)
      if (wrong)
        return `the watch of ${watch.client} got ${listText(got.map(eventText))} at revision ${revision}, where ${listText(
          owed.map(changeText)
        )} ${owed.length > 1 ? "are" : "is"} due`
    }
    return undefined
  }
}
