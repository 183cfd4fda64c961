/** Rule R4: among keys that sort equal there is no promised order, so which of them stand where is not compared. */
import { isDeepStrictEqual } from "node:util"
import type { Given } from "./compare.ts"
import type { Plain } from "./messages.ts"
import type { Answer } from "./operations.ts"
import { inRanges } from "./ranges.ts"

const fieldOf: Readonly<Record<string, string>> = {
  VERSION: "version",
  CREATE: "create_revision",
  MOD: "mod_revision",
  VALUE: "value"
}

/** The sort key of every kv, with the number of kvs; undefined when nothing can be equal. */
const shape = (request: Plain, kvs: ReadonlyArray<Plain>): ReadonlyArray<unknown> | undefined => {
  const field = fieldOf[String(request["sort_target"])]
  return field === undefined ? undefined : kvs.map((kv) => kv[field])
}

const keptInOrder = 12

const kvsOf = (response: Plain): ReadonlyArray<Plain> => (response["kvs"] ?? []) as ReadonlyArray<Plain>
const keyOf = (kv: Plain): string => String(kv["key"])

/** `etcd` with the keys of every tie in the order in which `ours` has them; cut ties may hold other keys. */
const ordered = (request: Plain, etcd: Plain, ours: Plain): Plain => {
  const [theirs, own] = [kvsOf(etcd), kvsOf(ours)]
  const [a, b] = [shape(request, theirs), shape(request, own)]
  // Up to so many, etcd's sort keeps the order of keys. The last key may tie with one beyond the limit.
  const cut = etcd["more"] === true && Number(etcd["count"]) > keptInOrder
  if (a === undefined || !isDeepStrictEqual(a, b) || (!cut && new Set(a).size === a.length)) return etcd
  const last = a.at(-1)
  const known = new Map(theirs.map((kv) => [keyOf(kv), kv]))
  return { ...etcd, kvs: own.map((kv, at) => known.get(keyOf(kv)) ?? (cut && a[at] === last ? kv : theirs[at]!)) }
}

/** Does our answer hold keys of a tie that etcd's has cut off? Such keys have nothing to be compared with. */
export const hasCutTie = (given: Given, etcd: Answer, ours: Answer): boolean => {
  const theirs = new Set<string>()
  inRanges(given.operation, given.request, etcd, (_request, response) => {
    for (const kv of kvsOf(response)) theirs.add(keyOf(kv))
    return response
  })
  let found = false
  inRanges(given.operation, given.request, ours, (_request, response) => {
    if (kvsOf(response).some((kv) => !theirs.has(keyOf(kv)))) found = true
    return response
  })
  return found
}

export const tiesInOrder = (given: Given, etcd: Answer, ours: Answer): Answer => {
  const answers: Array<Plain> = []
  inRanges(given.operation, given.request, ours, (_request, response) => {
    answers.push(response)
    return response
  })
  let next = 0
  return inRanges(given.operation, given.request, etcd, (request, response) => {
    const own = answers[next++]
    return own === undefined ? response : ordered(request, response, own)
  })
}
