/**
 * What clients and watchers of a walk saw, and whether it can have come from one store: every acknowledged write at its
 * revision and nowhere else, no revision used twice, no linearizable read older than what was known before it began.
 */

/** undefined: deleted. */
export type Value = string | undefined
export type Changes = ReadonlyMap<string, Value>

export interface Shown {
  readonly key: string
  readonly value: string
  readonly modRevision: number
}

/** One call of a client; `seen` is the newest revision anybody knew to be committed when it began. */
export interface Call {
  readonly what: string
  readonly seen: number
}

interface ReadSeen {
  readonly call: Call
  readonly revision: number
  readonly shown: ReadonlyArray<Shown>
}

interface WriteSeen {
  readonly call: Call
  readonly revision: number
  readonly changes: Changes
}

interface CompareSeen {
  readonly call: Call
  /** The state that was compared. */
  readonly revision: number
  readonly key: string
  readonly expected: number
  readonly succeeded: boolean
}

const showValue = (value: Value): string => (value === undefined ? "deleted" : value)
const showChanges = (changes: Changes): string =>
  [...changes]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([k, v]) => `${k}=${showValue(v)}`)
    .join(" ")

export class WalkHistory {
  readonly violations: Array<string> = []
  /** Newest revision that an answer or a linearizable read has shown. */
  seen = 1
  readonly #changes = new Map<number, Map<string, Value>>()
  readonly #reads: Array<ReadSeen> = []
  readonly #writes: Array<WriteSeen> = []
  readonly #compares: Array<CompareSeen> = []
  /** Writes that were answered with a definite failure. */
  readonly #refused: Array<{ readonly call: Call; readonly value: string }> = []

  get counts(): { readonly reads: number; readonly writes: number; readonly revisions: number } {
    return { reads: this.#reads.length, writes: this.#writes.length, revisions: this.#changes.size }
  }

  /** The last revision up to which every one is known. */
  get knownUpTo(): number {
    let revision = this.#knownUpTo
    while (this.#changes.has(revision + 1)) revision++
    return (this.#knownUpTo = revision)
  }
  #knownUpTo = 1

  violation(what: string): void {
    if (this.violations.length < 20) this.violations.push(what)
  }

  /** A watcher's event. `who` for messages. */
  event(who: string, revision: number, key: string, value: Value): void {
    let changes = this.#changes.get(revision)
    if (changes === undefined) this.#changes.set(revision, (changes = new Map()))
    if (changes.has(key) && changes.get(key) !== value) {
      this.violation(
        `revision ${revision} was used twice: ${who} saw ${key}=${showValue(value)}, another watcher ${showValue(changes.get(key))}`
      )
    }
    changes.set(key, value)
  }

  write(call: Call, revision: number, changes: Changes): void {
    if (revision <= call.seen)
      this.violation(`${call.what} took revision ${revision}, but ${call.seen} was known before it began`)
    this.#writes.push({ call, revision, changes })
    this.seen = Math.max(this.seen, revision)
  }

  linearizableRead(call: Call, revision: number, shown: ReadonlyArray<Shown>): void {
    if (revision < call.seen)
      this.violation(`stale: ${call.what} showed revision ${revision}, ${call.seen} was known before it began`)
    this.seen = Math.max(this.seen, revision)
    this.readAt(call, revision, shown)
  }

  /** A read of that revision's state, without a word about how new it is. */
  readAt(call: Call, revision: number, shown: ReadonlyArray<Shown>): void {
    this.#reads.push({ call, revision, shown })
  }

  compare(call: Call, revision: number, key: string, expected: number, succeeded: boolean): void {
    this.#compares.push({ call, revision, key, expected, succeeded })
  }

  refused(call: Call, value: string): void {
    this.#refused.push({ call, value })
  }

  /** At the end, with the state that a node with nothing but the bucket shows. */
  check(finalRevision: number, finalState: ReadonlyArray<Shown>): void {
    for (let revision = 2; revision <= finalRevision; revision++) {
      if (!this.#changes.has(revision)) return this.violation(`no watcher saw revision ${revision} of ${finalRevision}`)
    }
    for (const revision of this.#changes.keys()) {
      if (revision > finalRevision)
        this.violation(`a watcher saw revision ${revision}, the bucket ends at ${finalRevision}`)
    }
    for (const { call, revision, changes } of this.#writes) {
      const there = this.#changes.get(revision)
      if (there === undefined) this.violation(`lost: ${call.what}, acknowledged at revision ${revision}`)
      else if (showChanges(there) !== showChanges(changes)) {
        this.violation(`${call.what} was acknowledged at revision ${revision}, where ${showChanges(there)} is`)
      }
    }
    this.#checkValues()
    this.#readAt(finalRevision, finalState, "the node that has only the bucket")
    this.#checkStates(finalRevision)
  }

  #readAt(revision: number, shown: ReadonlyArray<Shown>, what: string): void {
    this.#reads.push({ call: { what, seen: 0 }, revision, shown })
  }

  /** Values are unique: none is there twice, none whose write was refused. */
  #checkValues(): void {
    const at = new Map<string, number>()
    for (const [revision, changes] of this.#changes) {
      for (const value of changes.values()) {
        if (value === undefined) continue
        const writer = value.split("/")[0]!
        const before = at.get(writer)
        if (before !== undefined && before !== revision)
          this.violation(`${writer} was written at ${before} and at ${revision}`)
        at.set(writer, revision)
      }
    }
    for (const { call, value } of this.#refused) {
      const revision = at.get(value)
      if (revision !== undefined) this.violation(`${call.what} was refused and is there at revision ${revision}`)
    }
  }

  #checkStates(finalRevision: number): void {
    const reads = this.#reads.sort((a, b) => a.revision - b.revision)
    const compares = this.#compares.sort((a, b) => a.revision - b.revision)
    const state = new Map<string, { readonly value: string; readonly modRevision: number }>()
    let read = 0
    let compare = 0
    for (let revision = 1; revision <= finalRevision; revision++) {
      for (const [key, value] of this.#changes.get(revision) ?? []) {
        if (value === undefined) state.delete(key)
        else state.set(key, { value, modRevision: revision })
      }
      const expected = [...state]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([k, v]) => `${k}=${v.value}@${v.modRevision}`)
        .join(" ")
      for (; read < reads.length && reads[read]!.revision === revision; read++) {
        const { call, shown } = reads[read]!
        const got = shown.map((s) => `${s.key}=${s.value}@${s.modRevision}`).join(" ")
        if (got !== expected) this.violation(`${call.what} showed at revision ${revision}: ${got}; it was: ${expected}`)
      }
      for (; compare < compares.length && compares[compare]!.revision === revision; compare++) {
        const { call, expected: mod, key, succeeded } = compares[compare]!
        const actual = state.get(key)?.modRevision ?? 0
        if ((actual === mod) !== succeeded) {
          this.violation(
            `${call.what} compared ${key} with ${mod} at revision ${revision}: ${succeeded}; it was ${actual}`
          )
        }
      }
    }
    for (; read < reads.length; read++) {
      this.violation(
        `${reads[read]!.call.what} showed revision ${reads[read]!.revision}, the bucket ends at ${finalRevision}`
      )
    }
  }
}
