/** The bucket's half of `netsy verify`: every object can be read, and a reader finds one whole history (design 6.7, I4, I5, I7). */
import { Effect, Stream } from "effect"
import { type Arbiter, arbiterKey, decodeArbiter } from "../../core/election/arbiter.ts"
import { decodeMembers, decodeRegistration, membersKey } from "../../core/election/registry.ts"
import { isInternal, type LogRecord } from "../../core/log/record.ts"
import type { Finding } from "../../core/verify/findings.ts"
import { Revisions } from "../../core/verify/Revisions.ts"
import { decode } from "../../layers/datafile/decode.ts"
import { History } from "../../services/History.ts"
import { ObjectStore } from "../../services/ObjectStore.ts"

export interface BucketFacts {
  readonly findings: ReadonlyArray<Finding>
  readonly arbiter: Arbiter | undefined
  readonly lastRevision: number
  readonly floor: number
  /** From behind the path's snapshot on. */
  readonly revisions: Revisions
}

const subject = "bucket"
const good = (check: string, detail: string): Finding => ({ subject, check, ok: true, detail })
const bad = (check: string, detail: string): Finding => ({ subject, check, ok: false, detail })

const listAll = (prefix: string) =>
  Effect.gen(function* () {
    const store = yield* ObjectStore
    const keys: Array<string> = []
    let after: string | undefined
    do {
      const page = yield* store.list(after === undefined ? { prefix } : { prefix, after })
      keys.push(...page.objects.map(({ key }) => key))
      after = page.next
    } while (after !== undefined)
    return keys
  })

/** A small object through its decoder, which answers with a sentence when something is wrong. */
const small = <A>(key: string, decodeIt: (bytes: Uint8Array) => A | string) =>
  Effect.gen(function* () {
    const store = yield* ObjectStore
    const found = yield* store.get(key).pipe(
      Effect.map(({ body }) => decodeIt(body)),
      Effect.catchTag("NotFound", () => Effect.succeed("missing"))
    )
    return found
  })

/** An object that is deleted while it is read was left over; one that is listed again and cannot be read is a finding. */
const unreadable = (key: string) =>
  Effect.gen(function* () {
    const store = yield* ObjectStore
    return yield* Stream.unwrap(Effect.map(store.getStream(key), ({ body }) => body)).pipe(
      decode(key),
      Stream.runDrain,
      Effect.as(undefined),
      Effect.catchTag("NotFound", () => Effect.succeed(undefined)),
      Effect.catch((error) => Effect.succeed(error.message))
    )
  })

const readObjects = Effect.gen(function* () {
  const keys = [...(yield* listAll("chunks/")), ...(yield* listAll("snapshots/"))].filter((key) =>
    key.endsWith(".netsy")
  )
  const wrong = yield* Effect.forEach(keys, unreadable, { concurrency: 8 })
  const complaints = wrong.filter((one) => one !== undefined)
  return complaints.length === 0
    ? good("every object is readable", `${keys.length} chunks and snapshots`)
    : bad("every object is readable", `${complaints.length} of ${keys.length} are not, first ${complaints[0]}`)
})

const changeOf = (record: LogRecord) => ({
  key: record.key,
  deleted: record.deleted,
  value: record.value,
  createRevision: record.createRevision,
  version: record.version,
  lease: record.lease
})

/** Walks the path: indexes without a gap, terms that never fall, revisions that are dense. */
const readHistory = Effect.gen(function* () {
  const history = yield* (yield* History).read
  const revisions = new Revisions()
  const findings: Array<Finding> = []
  let snapshotRecords = 0
  if (history.snapshot !== undefined) {
    yield* history
      .snapshotRecords()
      .pipe(Stream.runForEach((page) => Effect.sync(() => void (snapshotRecords += page.length))))
    findings.push(
      good("the snapshot is whole", `${snapshotRecords} records up to index ${history.snapshot.last.index}`)
    )
  }
  const start = history.snapshot?.last ?? { index: 0, term: 0 }
  let index = start.index
  let term = start.term
  let revision = history.snapshot?.revision ?? 0
  let broken: string | undefined
  yield* history.entriesAfter(start.index).pipe(
    Stream.runForEach((batch) =>
      Effect.sync(() => {
        for (const entry of batch) {
          const writes = entry.records.some((record) => record.op === undefined)
          const expected = writes ? revision + 1 : revision
          if (entry.index !== index + 1) broken ??= `index ${entry.index} follows ${index}`
          if (entry.term < term) broken ??= `term ${entry.term} at index ${entry.index} follows term ${term}`
          if (index > 0 && entry.revision !== expected)
            broken ??= `revision ${entry.revision} at index ${entry.index} follows ${revision}`
          index = entry.index
          term = entry.term
          revision = entry.revision
          for (const record of entry.records)
            if (record.op === undefined && !isInternal(record)) revisions.add(entry.revision, changeOf(record))
        }
      })
    )
  )
  if (index !== history.last.index) broken ??= `the entries end at ${index}, the path at ${history.last.index}`
  const check = "the history is contiguous, its revisions dense"
  findings.push(
    broken === undefined
      ? good(check, `${start.index + 1} … ${index}, term ${term}, revision ${revision}`)
      : bad(check, broken)
  )
  return { findings, revisions, history, floor: history.snapshot?.floor ?? 0 }
})

/** Where the nodes are. What cannot be read is `verifyBucket`'s to tell. */
export const readRegistrations = Effect.gen(function* () {
  const found = yield* Effect.forEach(yield* listAll("nodes/"), (key) => small(key, decodeRegistration))
  return found.filter((one) => typeof one !== "string")
})

export const verifyBucket = Effect.gen(function* () {
  const findings: Array<Finding> = []
  const arbiter = yield* small(arbiterKey, decodeArbiter)
  const members = yield* small(membersKey, decodeMembers)
  findings.push(
    typeof arbiter === "string"
      ? bad("the arbiter can be read", `${arbiterKey}: ${arbiter}`)
      : good("the arbiter can be read", `term ${arbiter.term}, ${arbiter.primary.nodeId}, mode ${arbiter.mode}`)
  )
  let registered = 0
  for (const key of yield* listAll("nodes/")) {
    const found = yield* small(key, decodeRegistration)
    if (typeof found === "string") {
      if (found !== "missing") findings.push(bad("registrations can be read", `${key}: ${found}`))
      continue
    }
    registered++
    if (typeof members !== "string" && !members.members.has(found.nodeId))
      findings.push(bad("every node has a member id", `${found.nodeId} is not in ${membersKey}`))
  }
  findings.push(
    typeof members === "string"
      ? bad("members can be read", `${membersKey}: ${members}`)
      : good("members can be read", `${members.members.size} member ids, ${registered} nodes registered`)
  )
  findings.push(yield* readObjects)
  const read = yield* Effect.result(readHistory)
  const nothing: BucketFacts = {
    findings,
    arbiter: typeof arbiter === "string" ? undefined : arbiter,
    lastRevision: 0,
    floor: 0,
    revisions: new Revisions()
  }
  if (read._tag === "Failure") {
    findings.push(bad("a reader finds the history", read.failure.message))
    return nothing
  }
  const { floor, history, revisions } = read.success
  findings.push(...read.success.findings)
  if (floor > history.lastRevision)
    findings.push(bad("the floor is not above the history", `floor ${floor}, revision ${history.lastRevision}`))
  if (typeof arbiter !== "string") {
    const ok = history.highestTerm <= arbiter.term
    const detail = `highest term ${history.highestTerm}, arbiter ${arbiter.term}`
    findings.push({ subject, check: "no entry is of a later term than the arbiter's", ok, detail })
  }
  return { ...nothing, lastRevision: history.lastRevision, floor, revisions }
})
