/** Compares what two servers said: pure, over transcripts, so that a test can tamper with one of them. */
import { isDeepStrictEqual } from "node:util"
import type { Intended } from "./intended.ts"
import { tiesInOrder } from "./ties.ts"
import type { Plain } from "./messages.ts"
import type { Answer, Context, Operation, StreamLog, WatchLog } from "./operations.ts"

/** A sequence with what was really sent. */
export interface Sent {
  readonly operations: ReadonlyArray<Operation>
  /** The request of every operation with its symbols replaced. */
  readonly requests: ReadonlyArray<Plain>
  readonly contexts: ReadonlyArray<Context>
  /** None between two servers of one kind. */
  readonly intended: ReadonlyArray<Intended>
}

export interface Difference {
  readonly operation: number
  readonly what: string
  readonly etcd: unknown
  readonly ours: unknown
}

export interface Given {
  readonly operation: Operation
  readonly request: Plain
  readonly context: Context
  readonly intended: ReadonlyArray<Intended>
}

/** Two clocks never read the same: remaining seconds may differ by so much. */
const ttlSlackSeconds = 3

const only = (body: Plain, names: ReadonlyArray<string>): Plain =>
  Object.fromEntries(Object.entries(body).filter(([name]) => names.includes(name)))

const sorted = (values: unknown): ReadonlyArray<unknown> | undefined =>
  Array.isArray(values) ? values.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : undefined

/** Leaves out what belongs to one process (sizes, addresses, log positions) and gives an order where there is none. */
const comparable = (operation: Operation, answer: Answer): Answer => {
  const { body } = answer
  if (operation.kind !== "call" || body === undefined) return answer
  switch (operation.method) {
    case "Maintenance.Status":
      return { ...answer, body: only(body, ["header", "leader", "errors", "isLearner"]) }
    case "Cluster.MemberList": {
      const members = (body["members"] ?? []) as ReadonlyArray<Plain>
      return { ...answer, body: { ...body, members: members.map((member) => only(member, ["ID", "isLearner"])) } }
    }
    case "Lease.LeaseLeases":
      return { ...answer, body: { ...body, leases: sorted(body["leases"]) } }
    case "Auth.RoleGet":
      return { ...answer, body: { ...body, perm: sorted(body["perm"]) } }
    case "Lease.LeaseTimeToLive":
      return { ...answer, body: { ...body, keys: sorted(body["keys"]) } }
  }
  return answer
}

const closeTtl = (operation: Operation, etcd: Answer, ours: Answer): Answer => {
  if (operation.kind !== "call" || operation.method !== "Lease.LeaseTimeToLive") return etcd
  const [a, b] = [Number(etcd.body?.["TTL"] ?? 0), Number(ours.body?.["TTL"] ?? 0)]
  if (a < 0 || b < 0 || Math.abs(a - b) > ttlSlackSeconds) return etcd
  return { ...etcd, body: { ...etcd.body, TTL: ours.body?.["TTL"] } }
}

/** What the newer etcd would have said. Where an entry has something to say, nothing else will do. */
const expectedOf = <A>(
  given: Given,
  etcd: A,
  adapt: (entry: Intended, before: A) => A | undefined,
  applied: Array<string>
): A => {
  let expected = etcd
  for (const entry of given.intended) {
    const adapted = adapt(entry, expected)
    if (adapted === undefined || isDeepStrictEqual(adapted, expected)) continue
    expected = adapted
    applied.push(entry.id)
  }
  return expected
}

const isEqual = (expected: unknown, ours: unknown, applied: ReadonlyArray<string>, used: Set<string>): boolean => {
  if (!isDeepStrictEqual(expected, ours)) return false
  for (const id of applied) used.add(id)
  return true
}

export const compareAnswers = (given: Given, etcd: Answer, ours: Answer, used: Set<string>): boolean => {
  const own = comparable(given.operation, ours)
  const theirs = closeTtl(given.operation, comparable(given.operation, etcd), own)
  const applied: Array<string> = []
  const expected = expectedOf(given, theirs, (entry, before) => entry.answer?.(given, before, own), applied)
  return isEqual(expected, own, applied, used) || isEqual(tiesInOrder(given, expected, own), own, applied, used)
}

const bare = ({ created, ended, events }: WatchLog): unknown => ({ created, ended, events })

const compareWatches = (given: Given, etcd: WatchLog, ours: WatchLog, used: Set<string>): boolean => {
  const applied: Array<string> = []
  const expected = expectedOf(given, etcd, (entry, before) => entry.watch?.(given, before), applied)
  return isEqual(bare(expected), bare(ours), applied, used)
}

const bookmarks = (log: StreamLog): Map<number, ReadonlyArray<number>> => {
  const found = new Map<number, ReadonlyArray<number>>()
  for (const { operation, revision } of log.progress) {
    found.set(operation, [...(found.get(operation) ?? []), revision])
  }
  return found
}

const compareProgress = (sent: Sent, etcd: StreamLog, ours: StreamLog, used: Set<string>): Difference | undefined => {
  const [theirs, own] = [bookmarks(etcd), bookmarks(ours)]
  for (const operation of new Set([...theirs.keys(), ...own.keys()])) {
    const etcdSaid = theirs.get(operation) ?? []
    const actual = own.get(operation) ?? []
    const given = givenOf(sent, operation)
    const applied: Array<string> = []
    const expected = expectedOf(given, etcdSaid, (entry, before) => entry.progress?.(given, before), applied)
    if (!isEqual(expected, actual, applied, used)) {
      return { operation, what: "progress responses", etcd: etcdSaid, ours: actual }
    }
  }
  return undefined
}

export const givenOf = (sent: Sent, operation: number): Given => ({
  operation: sent.operations[operation]!,
  request: sent.requests[operation]!,
  context: sent.contexts[operation]!,
  intended: sent.intended
})

export const compareStreams = (
  sent: Sent,
  etcd: StreamLog,
  ours: StreamLog,
  used: Set<string>
): Difference | undefined => {
  if (ours.violations.length > 0) {
    return { operation: ours.operation, what: "a broken promise of watches", etcd: [], ours: ours.violations }
  }
  for (const [at, log] of etcd.watches.entries()) {
    const { operation } = log
    const own = ours.watches[at]!
    if (compareWatches(givenOf(sent, operation), log, own, used)) continue
    const from = log.events.findIndex((event, index) => !isDeepStrictEqual(event, own.events[index]))
    const first = from === -1 ? Math.min(log.events.length, own.events.length) : from
    const shown = (one: WatchLog): unknown => ({
      created: one.created,
      ended: one.ended,
      events: one.events.length,
      [`events from ${first}`]: one.events.slice(first, first + 3)
    })
    return { operation, what: "what a watch was told", etcd: shown(log), ours: shown(own) }
  }
  if (!isDeepStrictEqual(etcd.ended, ours.ended)) {
    return { operation: etcd.operation, what: "how a watch stream ended", etcd: etcd.ended, ours: ours.ended }
  }
  if (!isDeepStrictEqual(etcd.canceledAgain, ours.canceledAgain)) {
    const { operation } = etcd
    return { operation, what: "cancels after a compaction", etcd: etcd.canceledAgain, ours: ours.canceledAgain }
  }
  return compareProgress(sent, etcd, ours, used)
}
