/**
 * The check of each key by itself, for which revisions are only what answers show of the key: a second opinion beside
 * order.ts, which believes the revisions of headers. What an operation did to other keys is left out, so everything that
 * is found here is wrong, but not everything that is wrong is found here.
 */
import {
  type Compare,
  covers,
  didWrite,
  type History,
  isSerializable,
  type Kv,
  mayWrite,
  type Operation,
  type Request,
  type Result
} from "./history.ts"
import type { Problem } from "./verdict.ts"
import { type Call, linearize, type LinearizeOptions, type Model } from "./wingGong.ts"

/** What is known of the key's state; a revision that nobody was told is -1. */
interface State {
  readonly kv: Kv | undefined
  /** The store is at this revision at least. */
  readonly low: number
  /** When `kv.mod` is -1: it is newer than this. */
  readonly since: number
}

/** undefined: the key is absent. */
type Sight = Kv | undefined

/** One operation as one key sees it. */
interface Projected {
  readonly operation: Operation
  /** Undefined: outcome unknown. */
  readonly revision: number | undefined
  /** Whether it took a revision, by whatever key. */
  readonly wrote: boolean
  before: Array<Sight>
  after: Array<Sight>
  compares: Array<Compare>
  /** Of a compare that failed and is only about this key. */
  fails: ReadonlyArray<Compare> | undefined
  present: boolean | undefined
  /** `null`: deleted. */
  put: string | null | undefined
}

const unknownRevision = -1
const keysOfRangeMax = 64

const holds = (compare: Compare, { kv, since }: State): boolean | "perhaps" => {
  if (compare.target === "value" && kv === undefined) return false
  const found = kv === undefined ? 0 : kv[compare.target]
  const { is, than } = compare
  if (found === unknownRevision)
    return compare.target === "mod" && is === "=" && Number(than) <= since ? false : "perhaps"
  return is === "=" ? found === than : is === "!=" ? found !== than : is === ">" ? found > than : found < than
}

/** The state with what the sight adds to it, or undefined when they differ. */
const seeing = (state: State, sight: Sight, upTo: number): State | undefined => {
  const { kv, since } = state
  if (kv === undefined || sight === undefined) return kv === sight ? state : undefined
  if (kv.value !== sight.value || kv.version !== sight.version) return undefined
  const fits = (mine: number, seen: number): boolean => mine === seen || (mine === unknownRevision && seen <= upTo)
  if (!fits(kv.mod, sight.mod) || !fits(kv.create, sight.create)) return undefined
  if (kv.mod === unknownRevision && sight.mod <= since) return undefined
  return { kv: sight, low: Math.max(state.low, sight.mod), since }
}

const changed = (state: State, key: string, value: string | null, mod: number): State => {
  const { kv, low } = state
  const after = mod === unknownRevision ? low + 1 : mod
  if (value === null) return { kv: undefined, low: after, since: after }
  return {
    kv: { key, value, mod, create: kv?.create ?? mod, version: (kv?.version ?? 0) + 1 },
    low: after,
    since: low
  }
}

const stepOf =
  (key: string) =>
  (state: State, op: Projected): State | undefined => {
    const { revision } = op
    if (revision !== undefined && (op.wrote ? state.low >= revision : state.low > revision)) return undefined
    let now: State | undefined = state
    const upTo = revision === undefined ? Infinity : op.wrote ? revision - 1 : revision
    for (const sight of op.before) {
      now = seeing(now, sight, upTo)
      if (now === undefined) return undefined
    }
    const before: State = now
    if (op.present !== undefined && op.present !== (before.kv !== undefined)) return undefined
    if (op.compares.some((compare) => holds(compare, before) === false)) return undefined
    if (op.fails?.every((compare) => holds(compare, before) === true) === true) return undefined
    if (op.put !== undefined) {
      // To delete what is not there changes nothing, so it need not have happened.
      if (op.put === null && before.kv === undefined) {
        if (revision === undefined) return undefined
      } else now = changed(before, key, op.put, revision ?? unknownRevision)
    } else if (revision === undefined) return undefined
    for (const sight of op.after) {
      now = seeing(now, sight, revision ?? Infinity)
      if (now === undefined) return undefined
    }
    return revision === undefined ? now : { ...now, low: Math.max(now.low, revision) }
  }

const textOf = ({ kv, low, since }: State): string =>
  kv === undefined ? `${low}` : `${low} ${since} ${kv.mod} ${kv.create} ${kv.version} ${kv.value}`

class Projection {
  readonly byKey = new Map<string, Array<Call<Projected>>>()

  constructor(history: History) {
    for (const operation of history.operations) {
      this.#learn(operation.request)
      if (operation.outcome.kind === "ok") this.#learnShown(operation.outcome.answer.result)
    }
    for (const operation of history.operations) this.#project(operation)
  }

  #learn(request: Request): void {
    if (request.kind === "txn") for (const one of [...request.success, ...request.failure]) this.#learn(one)
    else if (request.kind === "put" || request.end === undefined || request.end === "") this.#key(request.key)
  }
  #learnShown(result: Result): void {
    if (result.kind === "txn") for (const one of result.results) this.#learnShown(one)
    if (result.kind === "get") for (const kv of result.kvs) this.#key(kv.key)
  }
  #key(key: string): void {
    if (!this.byKey.has(key)) this.byKey.set(key, [])
  }

  #project(operation: Operation): void {
    const { outcome, request } = operation
    if (outcome.kind === "failed" || isSerializable(request)) return
    if (request.kind === "get" && (request.revision ?? 0) > 0) return
    if (outcome.kind === "unknown") {
      if (mayWrite(request)) for (const part of this.#unknownParts(operation)) this.#add(part, operation)
      return
    }
    const { result, revision } = outcome.answer
    const parts = new Map<string, Projected>()
    const part = (key: string): Projected => {
      let there = parts.get(key)
      if (there === undefined) parts.set(key, (there = empty(operation, revision, didWrite(result))))
      return there
    }
    this.#visit(request, result, part)
    this.#add(parts, operation)
  }

  #add(parts: ReadonlyMap<string, Projected>, { invoked, returned }: Operation): void {
    for (const [key, operation] of parts) this.byKey.get(key)?.push({ operation, invoked, returned })
  }

  /** One map for each way that it may have gone; compares of other keys may have gone either way. */
  #unknownParts(operation: Operation): Array<ReadonlyMap<string, Projected>> {
    const parts = new Map<string, Projected>()
    const otherwise = new Map<string, Projected>()
    const visit = (request: Request, into: Map<string, Projected>, compares: ReadonlyArray<Compare>): void => {
      if (request.kind === "txn") {
        for (const one of request.success) visit(one, into, [...compares, ...request.compares])
        for (const one of request.failure) visit(one, into === parts ? otherwise : into, compares)
      }
      if (request.kind !== "put" && request.kind !== "delete") return
      for (const key of request.kind === "put" ? [request.key] : this.byKey.keys()) {
        if (request.kind === "delete" && !covers(request, key)) continue
        const projected = empty(operation, undefined, true)
        projected.put = request.kind === "put" ? request.value : null
        projected.compares.push(...compares.filter((c) => c.key === key && isPoint(c)))
        into.set(key, projected)
      }
    }
    visit(operation.request, parts, [])
    return [parts, otherwise]
  }

  #visit(request: Request, result: Result, part: (key: string) => Projected): void {
    if (request.kind === "put" && result.kind === "put") {
      const mine = part(request.key)
      mine.put = request.value
      if (result.previous !== undefined) mine.before.push(result.previous)
    } else if (request.kind === "delete" && result.kind === "delete") {
      for (const kv of result.previous ?? []) if (this.byKey.has(kv.key)) part(kv.key).before.push(kv)
      for (const key of isPoint(request) ? [request.key] : this.byKey.keys()) {
        if (!covers(request, key)) continue
        const mine = part(key)
        mine.put = null
        if (isPoint(request)) mine.present = result.deleted > 0
      }
    } else if (request.kind === "get" && result.kind === "get") {
      const see = (key: string, sight: Sight): void => {
        const mine = part(key)
        if (mine.put === undefined) mine.before.push(sight)
        else mine.after.push(sight)
      }
      const shown = new Set<string>()
      for (const kv of result.kvs) {
        shown.add(kv.key)
        see(kv.key, kv)
      }
      if (result.count !== result.kvs.length) return
      if (isPoint(request)) {
        if (shown.size === 0) see(request.key, undefined)
      } else if (this.byKey.size <= keysOfRangeMax)
        for (const key of this.byKey.keys()) if (covers(request, key) && !shown.has(key)) see(key, undefined)
    } else if (request.kind === "txn" && result.kind === "txn") {
      const { compares } = request
      if (result.succeeded) {
        for (const c of compares) if (isPoint(c) && this.byKey.has(c.key)) part(c.key).compares.push(c)
      } else if (
        compares.every((c) => isPoint(c) && c.key === compares[0]!.key) &&
        this.byKey.has(compares[0]?.key ?? "")
      )
        part(compares[0]!.key).fails = compares
      const branch = result.succeeded ? request.success : request.failure
      for (const [i, one] of branch.entries()) this.#visit(one, result.results[i]!, part)
    }
  }
}

const isPoint = ({ end }: { readonly end?: string | undefined }): boolean => end === undefined || end === ""

const empty = (operation: Operation, revision: number | undefined, wrote: boolean): Projected => ({
  operation,
  revision,
  wrote,
  before: [],
  after: [],
  compares: [],
  fails: undefined,
  present: undefined,
  put: undefined
})

export interface KeysReport {
  readonly problems: ReadonlyArray<Problem>
  /** Keys whose search was given up. */
  readonly undecided: ReadonlyArray<string>
}

/** The shortest beginning of the history that is wrong already: what ran when it ends may have happened or not. */
const shortest = (model: Model<State, Projected>, calls: ReadonlyArray<Call<Projected>>, options: LinearizeOptions) => {
  const ends = calls.flatMap(({ returned }) => (returned < Infinity ? [returned] : [])).sort((a, b) => a - b)
  const until = (time: number) =>
    linearize(
      model,
      calls
        .filter(({ invoked }) => invoked <= time)
        .map((call) => (call.returned > time ? { ...call, returned: Infinity } : call)),
      options
    )
  let low = 0
  let high = ends.length - 1
  while (low < high) {
    const middle = (low + high) >>> 1
    if (until(ends[middle]!).kind === "bad") high = middle
    else low = middle + 1
  }
  return until(ends[low]!)
}

const stateText = (key: string, { kv }: State): string =>
  kv === undefined
    ? `${key} is absent`
    : `${key} is ${kv.value}, version ${kv.version}${kv.mod === unknownRevision ? "" : `, of revision ${kv.mod}`}`

export const checkKeys = (history: History, options: LinearizeOptions = {}): KeysReport => {
  const problems: Array<Problem> = []
  const undecided: Array<string> = []
  for (const [key, calls] of new Projection(history).byKey) {
    const first = history.initial?.revision ?? 1
    const kv = history.initial?.kvs.find((one) => one.key === key)
    const model: Model<State, Projected> = {
      initial: { kv, low: first, since: first },
      step: stepOf(key),
      text: textOf
    }
    const result = linearize(model, calls, options)
    if (result.kind === "undecided") undecided.push(`${key}: ${result.what}`)
    if (result.kind !== "bad") continue
    const short = shortest(model, calls, options)
    const { longest, next, state } = short.kind === "bad" ? short : result
    problems.push({
      what: `${stateText(key, state)} after ${longest.length} operations, and none of ${next
        .map(({ operation }) => `#${operation.id}`)
        .join(" ")} can be next`,
      operations: [...longest.slice(-4), ...next].map(({ operation }) => operation)
    })
  }
  return { problems, undecided }
}
