/** The nodes' half of `netsy verify`: all of them tell one history, and it is the bucket's (design 6.7, I3, I4, I6, I7). */
import { Effect } from "effect"
import type { StatusResponse } from "../../core/wire/codec/maintenance.ts"
import { type Finding, finding, unknown } from "../../core/verify/findings.ts"
import type { Revisions } from "../../core/verify/Revisions.ts"
import type { BucketFacts } from "./bucket.ts"
import type { NodeConnection } from "./connection.ts"
import { replay } from "./history.ts"

export interface Node {
  readonly name: string
  readonly connection: NodeConnection
}

export interface Answered extends Node {
  readonly status: StatusResponse
}

/** A node that is behind or compacts at this moment is asked again. */
const tries = 5
const retryAfter = "1 second"
const answersCheck = "the node answers"

const attempt = <A, E extends { readonly message: string }, R>(effect: Effect.Effect<A, E, R>) =>
  effect.pipe(
    Effect.map((value) => ({ value, error: undefined })),
    Effect.catch((error) => Effect.succeed({ value: undefined, error: error.message }))
  )

/** Who answers. Asked before the bucket is read. */
export const askAll = (nodes: ReadonlyArray<Node>) =>
  Effect.gen(function* () {
    const answered: Array<Answered> = []
    const findings: Array<Finding> = []
    for (const node of nodes) {
      const { error, value } = yield* attempt(node.connection.status)
      if (value !== undefined) answered.push({ ...node, status: value })
      else findings.push(unknown(node.name, answersCheck, error))
    }
    return { answered, findings }
  })

const revisionOf = ({ header }: StatusResponse): number => header?.revision ?? 0

const headers = (nodes: ReadonlyArray<Answered>): ReadonlyArray<Finding> => {
  const distinct = (of: (status: StatusResponse) => unknown): ReadonlyArray<string> => [
    ...new Set(nodes.map(({ status }) => String(of(status))))
  ]
  const all = (of: (status: StatusResponse) => unknown): string =>
    nodes.map(({ name, status }) => `${name} ${String(of(status))}`).join(", ")
  const one = (check: string, of: (status: StatusResponse) => unknown): Finding => {
    const found = distinct(of)
    return finding("nodes", check, found.length === 1 ? undefined : all(of), found[0] ?? "")
  }
  const memberId = (status: StatusResponse): unknown => status.header?.memberId
  const differ = distinct(memberId).length === nodes.length
  const errors = nodes.flatMap(({ name, status }) => status.errors.map((error) => `${name}: ${error}`))
  return [
    one("one cluster id", (status) => status.header?.clusterId),
    one("one Primary", (status) => status.leader),
    one("one term", (status) => status.raftTerm),
    finding("nodes", "member ids differ", differ ? undefined : all(memberId), distinct(memberId).join(", ")),
    ...nodes.map(({ name, status }) => {
      const detail = `applied ${status.raftAppliedIndex} of ${status.raftIndex}, revision ${revisionOf(status)}`
      const wrong = status.raftAppliedIndex <= status.raftIndex ? undefined : detail
      return finding(name, "shows nothing beyond its log", wrong, detail)
    }),
    ...(errors.length === 0 ? [] : [finding("nodes", "no errors", errors.join("; "), "")])
  ]
}

/** An election or a new node may pass by: what differs is asked again. */
const equalHeaders = (nodes: ReadonlyArray<Answered>) =>
  Effect.gen(function* () {
    let findings = headers(nodes)
    for (let round = 1; round < tries && findings.some(({ verdict }) => verdict !== "ok"); round++) {
      yield* Effect.sleep(retryAfter)
      const now: Array<Answered> = []
      for (const node of nodes) {
        const { error, value } = yield* attempt(node.connection.status)
        if (value === undefined) return [...findings, unknown(node.name, answersCheck, error)]
        now.push({ ...node, status: value })
      }
      findings = headers(now)
    }
    return findings
  })

interface Hashes {
  readonly revision: number
  /** −1: never compacted. */
  readonly compactRevision: number
  readonly hash: number | undefined
  readonly finding: Finding
}

/** All nodes' hash of everything at one revision, which is the highest that all of them have, `limit` at most. */
const equalHashes = (nodes: ReadonlyArray<Answered>, limit: number, check: string) =>
  Effect.gen(function* () {
    let result: Hashes | undefined
    for (let round = 0; round < tries; round++) {
      if (round > 0) yield* Effect.sleep(retryAfter)
      const statuses = yield* Effect.forEach(nodes, ({ connection }) => attempt(connection.status))
      const silent = statuses.findIndex(({ value }) => value === undefined)
      const revision = Math.min(limit, ...statuses.map(({ value }) => (value ? revisionOf(value) : limit)))
      const answers = yield* Effect.forEach(nodes, ({ connection }) => attempt(connection.hashKv(revision)))
      const good = answers.flatMap(({ value }) => (value === undefined ? [] : [value]))
      const texts = answers.map(({ error, value }, i) =>
        value === undefined
          ? `${nodes[i]!.name}: ${error}`
          : `${nodes[i]!.name} ${value.hash} (compacted ${Math.max(0, value.compactRevision)})`
      )
      const all = `revision ${revision}: ${texts.join(", ")}`
      const compactRevision = Math.max(-1, ...good.map((one) => one.compactRevision))
      const none = { revision, compactRevision, hash: undefined }
      const hashes = new Set(good.map((one) => `${one.hash} ${one.compactRevision}`))
      if (silent >= 0 || good.length < nodes.length) result = { ...none, finding: unknown("nodes", check, all) }
      else if (hashes.size > 1) result = { ...none, finding: finding("nodes", check, all, "") }
      else {
        const hash = good[0]!.hash
        const detail = `revision ${revision}, hash ${hash}, compacted ${Math.max(0, compactRevision)}`
        return { ...none, hash, finding: finding("nodes", check, undefined, detail) } satisfies Hashes
      }
    }
    return result!
  })

/** What everybody must answer by the bucket's history, at the highest revision that it has and all nodes show. */
const likeTheBucket = (nodes: ReadonlyArray<Answered>, bucket: BucketFacts) =>
  Effect.gen(function* () {
    const { history } = bucket
    if (history === undefined || bucket.lastRevision === 0) return []
    const hashCheck = "HashKV is that of the bucket's history"
    const readCheck = "serializable reads show the bucket's contents"
    const limit = bucket.lastRevision
    const { compactRevision, finding: equal, hash, revision } = yield* equalHashes(nodes, limit, hashCheck)
    if (hash === undefined) return [equal]
    const oldest = history.snapshot?.floor ?? 0
    if (Math.max(0, compactRevision) < oldest) {
      const detail = `the nodes were compacted at ${Math.max(0, compactRevision)}, the snapshot at ${oldest}`
      return [finding("nodes", hashCheck, detail, "")]
    }
    const expected = yield* replay(history, revision, compactRevision)
    const shown = `revision ${revision}, compacted ${Math.max(0, compactRevision)}`
    const wrong = expected.hash === hash ? undefined : `${shown}: the nodes have ${hash}, the bucket ${expected.hash}`
    const findings = [finding("nodes", hashCheck, wrong, `${shown}, hash ${hash}`)]
    for (const { connection, name } of nodes) {
      const { error, value } = yield* attempt(connection.contents(revision))
      if (value === undefined) {
        findings.push(unknown(name, readCheck, error))
        continue
      }
      const { contents } = expected
      const same = value.keys === contents.keys && value.digest === contents.digest
      const differs = `${value.keys} keys (${value.digest}) at revision ${revision}, the bucket has ${contents.keys} (${contents.digest})`
      findings.push(finding(name, readCheck, same ? undefined : differs, `${value.keys} keys at revision ${revision}`))
    }
    return findings
  })

const watched = (node: Answered, from: number, to: number, bucket: BucketFacts) =>
  Effect.gen(function* () {
    const findings: Array<Finding> = []
    const check = "a watch tells the history"
    const { error, value } = yield* attempt(node.connection.changes(from, to))
    if (value === undefined) return { findings: [unknown(node.name, check, error)], revisions: undefined }
    const { problem, revisions } = value
    const hole = revisions.hole(from, to)
    const wrong = problem ?? (hole === undefined ? undefined : `nothing at revision ${hole} of ${from} … ${to}`)
    findings.push(finding(node.name, check, wrong, `every revision of ${from} … ${to}, in order`))
    const start = Math.max(from, bucket.revisions.first)
    const end = Math.min(to, bucket.lastRevision)
    if (bucket.revisions.size > 0 && start <= end) {
      const different = revisions.difference(bucket.revisions, start, end)
      const wrongHere = different === undefined ? undefined : `they differ at revision ${different}`
      findings.push(finding(node.name, "and the bucket tells the same", wrongHere, `revisions ${start} … ${end}`))
    }
    return { findings, revisions }
  })

export const verifyNodes = (nodes: ReadonlyArray<Answered>, bucket: BucketFacts) =>
  Effect.gen(function* () {
    const findings: Array<Finding> = [...(yield* equalHeaders(nodes))]
    const newest = yield* equalHashes(nodes, Number.MAX_SAFE_INTEGER, "HashKV is equal at one revision")
    const floor = Math.max(0, newest.compactRevision)
    const { revision } = newest
    const above = floor <= revision ? undefined : `floor ${floor}, revision ${revision}`
    findings.push(
      newest.finding,
      finding("nodes", "the floor is not above the revision", above, `${floor} of ${revision}`)
    )
    const acknowledged = Math.min(...nodes.map(({ status }) => revisionOf(status)))
    if (bucket.arbiter?.mode === "store") {
      const detail = `revision ${bucket.lastRevision}, nodes had ${acknowledged} before`
      const wrong = bucket.lastRevision >= acknowledged ? undefined : detail
      findings.push(finding("bucket", "holds what was acknowledged in store mode", wrong, detail))
    }
    findings.push(...(yield* likeTheBucket(nodes, bucket)))
    const from = Math.max(2, floor + 1)
    if (revision < from) return findings
    let first: { readonly name: string; readonly revisions: Revisions } | undefined
    for (const node of nodes) {
      const told = yield* watched(node, from, revision, bucket)
      findings.push(...told.findings)
      if (told.revisions === undefined) continue
      if (first === undefined) {
        first = { name: node.name, revisions: told.revisions }
        continue
      }
      const different = told.revisions.difference(first.revisions, from, revision)
      const wrong = different === undefined ? undefined : `they differ at revision ${different}`
      findings.push(finding(node.name, `tells what ${first.name} tells`, wrong, `${told.revisions.size} revisions`))
    }
    return findings
  })
