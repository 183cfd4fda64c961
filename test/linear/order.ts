/**
 * The check of a whole history by its revisions: is there one order of all writes, one a revision without a hole, that
 * explains every answer and keeps real time? An acknowledged write names its place, so only writes of unknown outcome
 * have to be searched for, depth first with a memory of the places where the search failed before (Wing and Gong, with
 * Lowe's memoization).
 *
 * Why time is no part of the search: put the reads of a revision behind its write. An operation that began after another
 * one was answered then stands behind it exactly if its revision keeps the floor of bounds.ts, whoever else wrote what.
 */
import { type Bounds, boundsOf, staleness } from "./bounds.ts"
import { type Answer, didWrite, type Get, type History, isSerializable, mayWrite, type Operation } from "./history.ts"
import { agrees, type Change, sameKv, Store } from "./model.ts"
import { Demand } from "./demand.ts"
import { Observed } from "./observed.ts"
import { type Problem, resultText, type Verdict, type Written } from "./verdict.ts"
import { streamProblem, Watched } from "./watches.ts"
import { mix } from "./wingGong.ts"

export interface OrderOptions {
  /** How many writes are tried before the search is given up. */
  readonly stepsMax?: number
}

const stepsMaxDefault = 2_000_000

interface Answered {
  readonly operation: Operation
  readonly answer: Answer
}

interface Unknown {
  readonly operation: Operation
  /** The same for requests that are the same: of those, the one that began first is as good as any. */
  readonly sort: number
  used: boolean
}

/** A revision of which more than one write could be the owner. */
interface Branch {
  readonly revision: number
  readonly rest: Array<Unknown>
}

const historicGet = ({ request }: Operation): Get | undefined =>
  request.kind === "get" && (request.revision ?? 0) > 0 ? request : undefined

class Search {
  readonly #bounds: Bounds
  readonly #owners = new Map<number, Answered>()
  /** Answers that must be the store's at that revision. */
  readonly #reads = new Map<number, Array<Answered>>()
  readonly #unknown: ReadonlyArray<Unknown>
  readonly #unknownPuts = new Map<string, Array<Unknown>>()
  readonly #observed: Observed
  readonly #demand: Demand
  readonly #watched: Watched
  readonly #store: Store
  readonly #written: Array<Written & { readonly unknown: Unknown | undefined }> = []
  readonly #branches: Array<Branch> = []
  readonly #failedBefore = new Set<string>()
  readonly #history: History
  #steps = 0
  /** Two sums that stand for which of the unknown are used. */
  #used1 = 0
  #used2 = 0
  #deepest: { readonly revision: number; readonly problem: Problem } | undefined

  constructor(history: History) {
    this.#history = history
    this.#store = new Store(history.initial)
    this.#bounds = boundsOf(history)
    this.#observed = new Observed(history)
    this.#demand = new Demand(history)
    this.#watched = new Watched(history.watches)
    const sorts = new Map<string, number>()
    const unknown: Array<Unknown> = []
    for (const operation of history.operations) {
      if (operation.outcome.kind !== "unknown" || !mayWrite(operation.request)) continue
      const text = JSON.stringify(operation.request)
      const sort = sorts.get(text) ?? sorts.size
      sorts.set(text, sort)
      unknown.push({ operation, sort, used: false })
    }
    this.#unknown = unknown.sort((a, b) => a.operation.invoked - b.operation.invoked)
    for (const one of this.#unknown) this.#indexPuts(one)
  }

  #indexPuts(unknown: Unknown): void {
    const seen = new Set<string>()
    const visit = (request: Operation["request"]): void => {
      if (request.kind === "txn") for (const one of [...request.success, ...request.failure]) visit(one)
      if (request.kind !== "put") return
      const name = `${request.key}\0${request.value}`
      if (seen.has(name)) return
      seen.add(name)
      const there = this.#unknownPuts.get(name)
      if (there === undefined) this.#unknownPuts.set(name, [unknown])
      else there.push(unknown)
    }
    visit(unknown.operation.request)
  }

  /** Everything that is wrong whoever wrote the unowned revisions; and the tables for the search. */
  #prepare(): Problem | undefined {
    const first = this.#store.revision
    for (const watch of this.#history.watches) {
      const problem = streamProblem(watch)
      if (problem !== undefined) return problem
    }
    for (const operation of this.#history.operations) {
      if (operation.outcome.kind !== "ok") continue
      const { answer } = operation.outcome
      const writes = didWrite(answer.result)
      const { revision } = answer
      if (!isSerializable(operation.request)) {
        const stale = staleness(operation, revision, writes, this.#bounds)
        if (stale !== undefined) return stale
      }
      if (writes) {
        const other = this.#owners.get(revision)
        if (other !== undefined)
          return {
            what: `#${other.operation.id} and #${operation.id} both wrote revision ${revision}`,
            operations: [other.operation, operation]
          }
        this.#owners.set(revision, { operation, answer })
      }
      const at = writes ? revision : (historicGet(operation)?.revision ?? revision)
      if (at > revision || at < first + (writes ? 1 : 0))
        return { what: `#${operation.id} is of revision ${at}, which cannot be`, operations: [operation] }
      if (writes) continue
      const there = this.#reads.get(at)
      if (there === undefined) this.#reads.set(at, [{ operation, answer }])
      else there.push({ operation, answer })
    }
    return undefined
  }

  /** Undefined: all fit. What a problem says is asked for only if it is shown: a search fails often. */
  #readsProblem(): (() => Problem) | undefined {
    const { revision } = this.#store
    for (const { answer, operation } of this.#reads.get(revision) ?? []) {
      const { changes, result } = this.#store.ask(operation.request)
      if (changes.length === 0 && result !== undefined && agrees(answer.result, result)) continue
      return () => ({
        what: `#${operation.id} showed at revision ${revision}: ${resultText(answer.result)}; it was: ${
          result === undefined ? "an error" : resultText(result)
        }`,
        operations: [...this.#writersOf(operation, answer.result), operation]
      })
    }
    return undefined
  }

  /** Who wrote what the read should have shown, and what it showed instead. */
  #writersOf(read: Operation, result: Answer["result"]): Array<Operation> {
    const revisions = new Set<number>()
    const visit = (one: Answer["result"]): void => {
      if (one.kind === "get") {
        for (const kv of one.kvs) {
          if (sameKv(this.#store.find(kv.key), kv)) continue
          revisions.add(kv.mod)
          revisions.add(this.#lastChange(kv.key))
        }
      }
      if (one.kind === "txn") for (const inner of one.results) visit(inner)
    }
    visit(result)
    const shown = new Set(result.kind === "get" ? result.kvs.map((kv) => kv.key) : [])
    const { request } = read
    if (request.kind === "get")
      for (const kv of this.#store.within(request)) if (!shown.has(kv.key)) revisions.add(kv.mod)
    if (request.kind === "txn")
      for (const compare of request.compares) for (const kv of this.#store.within(compare)) revisions.add(kv.mod)
    return [...revisions]
      .sort((a, b) => b - a)
      .slice(0, 6)
      .flatMap((revision) => this.#ownerOf(revision) ?? [])
  }

  #ownerOf(revision: number): Operation | undefined {
    return this.#written.find((written) => written.revision === revision)?.by ?? this.#owners.get(revision)?.operation
  }

  #lastChange(key: string): number {
    for (let i = this.#written.length - 1; i >= 0; i--)
      if (this.#written[i]!.changes.some((change) => change.key === key)) return this.#written[i]!.revision
    return 0
  }

  /** What contradicts these changes as those of the newest revision. */
  #contradiction(changes: ReadonlyArray<Change>): string | undefined {
    const { revision } = this.#store
    return this.#observed.disagreement(revision, changes) ?? this.#watched.disagreement(revision, changes)
  }

  /** Undefined: the store is now one revision further. */
  #takeOwned({ answer, operation }: Answered): (() => Problem) | undefined {
    const { changes, result } = this.#store.apply(operation.request)
    const { revision } = answer
    let what: string | undefined
    if (result === undefined || changes.length === 0 || !agrees(answer.result, result)) {
      const said = result === undefined ? "an error" : resultText(result)
      what = `#${operation.id} was answered ${resultText(answer.result)} at revision ${revision}; due was: ${said}`
    } else {
      what = this.#contradiction(changes)
      // Only after a guess: to the eye the contradiction itself says more.
      if (what === undefined && this.#branches.length > 0) what = this.#demand.impossible(revision, changes)
    }
    if (what !== undefined) {
      const said = what
      this.#store.undo(changes)
      return () => ({
        what: said,
        operations: [...this.#foundBy(operation, changes), operation, ...this.#observed.witnesses(revision)]
      })
    }
    this.#written.push({ revision, by: operation, changes, unknown: undefined })
    return undefined
  }

  /** Who wrote what the operation changed or compared. */
  #foundBy({ request }: Operation, changes: ReadonlyArray<Change>): Array<Operation> {
    const found = new Set(changes.flatMap((change) => (change.before === undefined ? [] : [change.before.mod])))
    if (request.kind === "txn")
      for (const compare of request.compares) for (const kv of this.#store.within(compare)) found.add(kv.mod)
    return [...found].slice(0, 6).flatMap((revision) => this.#ownerOf(revision) ?? [])
  }

  /** What it would do to the next revision. */
  #tried({ operation }: Unknown): { readonly what: string | undefined; readonly urgency: number } {
    this.#steps++
    const { changes } = this.#store.apply(operation.request)
    const { revision } = this.#store
    const what =
      changes.length === 0
        ? "it changes nothing there"
        : (this.#contradiction(changes) ?? this.#demand.impossible(revision, changes))
    const urgency = what === undefined ? this.#demand.urgency(revision, changes) : 0
    this.#store.undo(changes)
    return { what, urgency }
  }

  #takeUnknown(unknown: Unknown): void {
    const { operation } = unknown
    const { changes } = this.#store.apply(operation.request)
    this.#use(unknown, true)
    this.#written.push({ revision: this.#store.revision, by: operation, changes, unknown })
  }

  #giveBack(): void {
    const { changes, unknown } = this.#written.pop()!
    this.#store.undo(changes)
    if (unknown !== undefined) this.#use(unknown, false)
  }

  #use(unknown: Unknown, used: boolean): void {
    unknown.used = used
    const sign = used ? 1 : -1
    this.#used1 = (this.#used1 + sign * mix(unknown.sort, 0x1b873593)) | 0
    this.#used2 = (this.#used2 + sign * mix(unknown.sort, 0x68e31da4)) | 0
  }

  /** The writes of unknown outcome that had begun before that revision was seen. */
  #candidates(revision: number): Array<Unknown> {
    const put = this.#observed.putAt(revision) ?? this.#watchedPut(revision)
    const known = put === undefined ? this.#unknown : (this.#unknownPuts.get(put) ?? [])
    const sorts = new Set<number>()
    const found: Array<Unknown> = []
    for (const one of known) {
      const { operation, sort, used } = one
      // Sorted by when they began: all the others began too late as well.
      if (this.#bounds.floor(operation) >= revision) break
      if (used || sorts.has(sort)) continue
      sorts.add(sort)
      found.push(one)
    }
    return found
  }

  #watchedPut(revision: number): string | undefined {
    for (const event of this.#watched.putsAt(revision))
      if (event.kv !== undefined) return `${event.key}\0${event.kv.value}`
    return undefined
  }

  #fail(revision: number, problem: () => Problem): void {
    if (this.#deepest === undefined || revision > this.#deepest.revision)
      this.#deepest = { revision, problem: problem() }
  }

  #unowned(revision: number, tried: ReadonlyArray<Problem>): Problem {
    const seen = this.#observed.textAt(revision) ?? this.#watchText(revision)
    const is = seen === undefined ? "" : `, where ${seen}`
    const refused = this.#history.operations.filter(
      ({ outcome, request }) => outcome.kind === "failed" && this.#observed.couldBe(request, revision)
    )
    const why = tried.map(({ operations, what }) => `#${operations[0]!.id} cannot: ${what}`).slice(0, 6)
    return {
      what: [`nobody can have written revision ${revision}${is}`, ...why].join("\n"),
      operations: [
        ...[revision - 1, revision + 1].flatMap((at) => this.#ownerOf(at) ?? []),
        ...refused.slice(0, 4),
        ...tried.slice(0, 6).flatMap((one) => one.operations),
        ...this.#observed.witnesses(revision)
      ]
    }
  }

  #watchText(revision: number): string | undefined {
    const shown = [...this.#watched.putsAt(revision)].map(
      (event) => `${event.kind} ${event.key}=${event.kv?.value ?? ""}`
    )
    return shown.length === 0 ? undefined : `a watch saw ${shown[0]}`
  }

  /** Those of them that can own the next revision, the likeliest first. */
  #possible(candidates: ReadonlyArray<Unknown>): Array<Unknown> {
    const revision = this.#store.revision + 1
    const impossible: Array<Problem> = []
    const possible: Array<{ readonly one: Unknown; readonly elsewhere: boolean; readonly urgency: number }> = []
    for (const one of candidates) {
      const { urgency, what } = this.#tried(one)
      const { operation } = one
      if (what !== undefined) impossible.push({ what, operations: [operation] })
      // Whose value is seen at another revision is hardly this one's writer.
      else possible.push({ one, urgency, elsewhere: this.#observed.seenElsewhere(operation.request, revision) })
    }
    if (possible.length === 0) this.#fail(revision, () => this.#unowned(revision, impossible))
    return possible
      .sort((a, b) => Number(a.elsewhere) - Number(b.elsewhere) || a.urgency - b.urgency)
      .map(({ one }) => one)
  }

  /** Goes one revision on, by one of these; the others are remembered. */
  #advance(possible: ReadonlyArray<Unknown>): boolean {
    const revision = this.#store.revision + 1
    const rest = [...possible]
    for (let one = rest.shift(); one !== undefined; one = rest.shift()) {
      this.#takeUnknown(one)
      const wrong = this.#readsProblem()
      if (wrong === undefined) {
        if (rest.length > 0) this.#branches.push({ revision, rest })
        return true
      }
      this.#fail(revision, wrong)
      this.#giveBack()
    }
    return false
  }

  #next(): boolean {
    const revision = this.#store.revision + 1
    const owner = this.#owners.get(revision)
    if (owner === undefined) {
      const possible = this.#possible(this.#candidates(revision))
      if (this.#branches.length > 0 || possible.length > 1) {
        const here = `${revision} ${this.#used1} ${this.#used2} ${this.#store.digest()}`
        if (this.#failedBefore.has(here)) return false
        // Being here again means that the search came back: then it failed from here on.
        this.#failedBefore.add(here)
      }
      return this.#advance(possible)
    }
    this.#steps++
    const problem = this.#takeOwned(owner)
    if (problem !== undefined) {
      this.#fail(revision, problem)
      return false
    }
    const wrong = this.#readsProblem()
    if (wrong === undefined) return true
    this.#fail(revision, wrong)
    this.#giveBack()
    return false
  }

  /** To the last revision that had another candidate. */
  #back(): boolean {
    for (let branch = this.#branches.pop(); branch !== undefined; branch = this.#branches.pop()) {
      while (this.#store.revision >= branch.revision) this.#giveBack()
      if (this.#advance(branch.rest)) return true
    }
    return false
  }

  run(stepsMax: number): Verdict {
    const problem = this.#prepare() ?? this.#readsProblem()?.()
    if (problem !== undefined) return { kind: "bad", problem }
    while (this.#store.revision < this.#bounds.newest) {
      if (this.#steps > stepsMax)
        return {
          kind: "undecided",
          what: `the search was given up at revision ${this.#store.revision} after ${this.#steps} steps, with ${this.#unknown.length} writes of unknown outcome`
        }
      if (!this.#next() && !this.#back()) return { kind: "bad", problem: this.#deepest!.problem }
    }
    return { kind: "ok", order: this.#written.map(({ by, changes, revision }) => ({ revision, by, changes })) }
  }
}

export const checkOrder = (history: History, options: OrderOptions = {}): Verdict =>
  new Search(history).run(options.stepsMax ?? stepsMaxDefault)
