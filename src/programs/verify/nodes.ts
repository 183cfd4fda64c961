/** The nodes' half of `netsy verify`: all of them tell one history, and it is the bucket's (design 6.7, I3, I4, I6, I7). */
import { Effect } from "effect"
import type { HashKVResponse, StatusResponse } from "../../core/wire/codec/maintenance.ts"
import type { Finding } from "../../core/verify/findings.ts"
import type { Revisions } from "../../core/verify/Revisions.ts"
import type { BucketFacts } from "./bucket.ts"
import type { NodeConnection } from "./connection.ts"

export interface Node {
  readonly name: string
  readonly connection: NodeConnection
}

export interface Answered extends Node {
  readonly status: StatusResponse
}

/** A node that is behind or compacts at this moment is asked again. */
const hashTries = 5
const retryAfter = "1 second"

const attempt = <A, E extends { readonly message: string }, R>(effect: Effect.Effect<A, E, R>) =>
  effect.pipe(
    Effect.map((value) => ({ value, error: undefined })),
    Effect.catch((error) => Effect.succeed({ value: undefined, error: error.message }))
  )

/** Who answers, and what does not fit together in what they say. Asked before the bucket is read. */
export const askAll = (nodes: ReadonlyArray<Node>) =>
  Effect.gen(function* () {
    const answered: Array<Answered> = []
    const findings: Array<Finding> = []
    for (const node of nodes) {
      const { error, value } = yield* attempt(node.connection.status)
      if (value !== undefined) answered.push({ ...node, status: value })
      else findings.push({ subject: node.name, check: "the node answers", ok: false, detail: error })
    }
    return { answered, findings }
  })

const headers = (nodes: ReadonlyArray<Answered>): ReadonlyArray<Finding> => {
  const distinct = (of: (status: StatusResponse) => unknown): ReadonlyArray<string> => [
    ...new Set(nodes.map(({ status }) => String(of(status))))
  ]
  const one = (check: string, of: (status: StatusResponse) => unknown): Finding => {
    const found = distinct(of)
    const detail = found.length === 1 ? found[0]! : nodes.map((n) => `${n.name} ${String(of(n.status))}`).join(", ")
    return { subject: "nodes", check, ok: found.length === 1, detail }
  }
  const members = distinct((status) => status.header?.memberId)
  const errors = nodes.flatMap(({ name, status }) => status.errors.map((error) => `${name}: ${error}`))
  return [
    one("one cluster id", (status) => status.header?.clusterId),
    one("one Primary", (status) => status.leader),
    one("one term", (status) => status.raftTerm),
    {
      subject: "nodes",
      check: "member ids differ",
      ok: members.length === nodes.length,
      detail: members.join(", ")
    },
    ...nodes.map(({ name, status }): Finding => ({
      subject: name,
      check: "shows nothing beyond its log",
      ok: status.raftAppliedIndex <= status.raftIndex,
      detail: `applied ${status.raftAppliedIndex} of ${status.raftIndex}, revision ${status.header?.revision ?? 0}`
    })),
    ...(errors.length === 0 ? [] : [{ subject: "nodes", check: "no errors", ok: false, detail: errors.join("; ") }])
  ]
}

interface Hashes {
  readonly revision: number
  readonly floor: number
  readonly finding: Finding
}

/** All nodes' hash of everything at the lowest of their revisions. */
const equalHashes = (nodes: ReadonlyArray<Answered>) =>
  Effect.gen(function* () {
    let hashes: Hashes = {
      revision: 0,
      floor: 0,
      finding: { subject: "nodes", check: "equal at one revision", ok: false, detail: "not asked" }
    }
    for (let round = 0; round < hashTries; round++) {
      if (round > 0) yield* Effect.sleep(retryAfter)
      const statuses = yield* Effect.forEach(nodes, ({ connection }) => attempt(connection.status))
      const revision = Math.min(...statuses.map(({ value }) => value?.header?.revision ?? Number.MAX_SAFE_INTEGER))
      const answers = yield* Effect.forEach(nodes, ({ connection }) => attempt(connection.hashKv(revision)))
      const good = answers.flatMap(({ value }): ReadonlyArray<HashKVResponse> => (value === undefined ? [] : [value]))
      const texts = answers.map(({ error, value }, i) =>
        value === undefined
          ? `${nodes[i]!.name}: ${error}`
          : `${nodes[i]!.name} ${value.hash} (compacted ${Math.max(0, value.compactRevision)})`
      )
      const same =
        good.length === nodes.length && new Set(good.map((one) => `${one.hash} ${one.compactRevision}`)).size === 1
      const floor = Math.max(0, ...good.map((one) => one.compactRevision))
      const detail = same
        ? `revision ${revision}, hash ${good[0]!.hash}, compacted ${floor}`
        : `revision ${revision}: ${texts.join(", ")}`
      hashes = { revision, floor, finding: { subject: "nodes", check: "equal at one revision", ok: same, detail } }
      if (same) break
    }
    return hashes
  })

const watched = (node: Answered, from: number, to: number, bucket: BucketFacts) =>
  Effect.gen(function* () {
    const findings: Array<Finding> = []
    const { error, value } = yield* attempt(node.connection.changes(from, to))
    const find = (check: string, wrong: string | undefined, detail: string): void =>
      void findings.push({ subject: node.name, check, ok: wrong === undefined, detail: wrong ?? detail })
    if (value === undefined) {
      find("a watch tells the history", error, "")
      return { findings, revisions: undefined }
    }
    const { problem, revisions } = value
    const hole = revisions.hole(from, to)
    find(
      "a watch tells the history",
      problem ?? (hole === undefined ? undefined : `nothing at revision ${hole} of ${from} … ${to}`),
      `every revision of ${from} … ${to}, in order`
    )
    const start = Math.max(from, bucket.revisions.first)
    const end = Math.min(to, bucket.lastRevision)
    if (bucket.revisions.size > 0 && start <= end) {
      const different = revisions.difference(bucket.revisions, start, end)
      find(
        "and the bucket tells the same",
        different === undefined ? undefined : `they differ at revision ${different}`,
        `revisions ${start} … ${end}`
      )
    }
    return { findings, revisions }
  })

export const verifyNodes = (nodes: ReadonlyArray<Answered>, bucket: BucketFacts) =>
  Effect.gen(function* () {
    const findings: Array<Finding> = [...headers(nodes)]
    const { finding, floor, revision } = yield* equalHashes(nodes)
    findings.push(finding, {
      subject: "nodes",
      check: "the floor is not above the revision",
      ok: floor <= revision,
      detail: `${floor} of ${revision}`
    })
    const acknowledged = Math.min(...nodes.map(({ status }) => status.header?.revision ?? 0))
    if (bucket.arbiter?.mode === "store")
      findings.push({
        subject: "bucket",
        check: "holds what was acknowledged in store mode",
        ok: bucket.lastRevision >= acknowledged,
        detail: `revision ${bucket.lastRevision}, nodes had ${acknowledged} before`
      })
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
      findings.push({
        subject: node.name,
        check: `tells what ${first.name} tells`,
        ok: different === undefined,
        detail: different === undefined ? `${told.revisions.size} revisions` : `they differ at revision ${different}`
      })
    }
    return findings
  })
