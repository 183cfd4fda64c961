/** What the store costs. Run: node --expose-gc test/mvcc/bench.ts [keys]. Not a test: nothing is asserted. */
import { rangeResponse } from "../../src/core/mvcc/range.ts"
import { MvccStore } from "../../src/core/mvcc/store.ts"
import { checkTxn } from "../../src/core/txn/check.ts"
import { evaluatePut } from "../../src/core/txn/evaluate.ts"
import { evaluateTxn } from "../../src/core/txn/txn.ts"
import { isEtcdError } from "../../src/core/wire/errors.ts"
import { bytes, compare, contextOf, put, putRequest, range, rangeRequest, record, txnRequest } from "./requests.ts"

const count = Number(process.argv[2] ?? 200_000)
const name = (i: number) => `/registry/pods/default/workload-${String((i * 7919) % count).padStart(9, "0")}`
const value = bytes("v".repeat(256))

const say = (what: string, number: number, unit: string) =>
  console.log(`${what.padEnd(48)} ${number.toFixed(1)} ${unit}`)

/** Processor time of this thread, so that what else runs on the machine counts less. */
const measure = (what: string, times: number, run: (i: number) => void, per = 1) => {
  const start = process.threadCpuUsage()
  for (let i = 0; i < times; i++) run(i)
  const { system, user } = process.threadCpuUsage(start)
  say(what, ((system + user) * 1000) / times / per, "ns")
}

const memory = () => {
  globalThis.gc?.()
  return process.memoryUsage().rss
}

const store = new MvccStore()
const before = memory()
measure(
  `load ${count} keys of 256 bytes, scattered`,
  1,
  () => {
    store.load(
      (function* () {
        for (let i = 0; i < count; i++) yield record(i + 2, name(i), { value })
      })()
    )
    store.loaded(count + 1, -1)
  },
  count
)
say("memory a key", (memory() - before) / count, "bytes")
say("of which values", store.stats.heldBytes / count, "bytes")

const apply = (outcome: ReturnType<typeof evaluateTxn> | ReturnType<typeof evaluatePut>) => {
  if (isEtcdError(outcome)) throw new Error(outcome.message)
  for (const each of outcome.records) store.apply(each)
  store.commit(store.headRevision)
}

const puts = Array.from({ length: 1000 }, (_, i) => ({ ...putRequest(name(i * 31)), value }))
const context = { ...contextOf(store) }
const next = () => Object.assign(context, { revision: store.headRevision + 1 })
measure("put of an existing key, evaluated, applied, committed", 200_000, (i) => {
  apply(evaluatePut(store, puts[i % 1000]!, next()))
})
const fresh = Array.from({ length: 50_000 }, (_, i) => ({ ...putRequest(`${name(i)}/${i}`), value }))
measure("put of a new key", fresh.length, (i) => apply(evaluatePut(store, fresh[i]!, next())))
measure("kube-apiserver's update (1 compare, 1 put)", 200_000, (i) => {
  const { key } = puts[i % 1000]!
  const mod = { kind: "mod" as const, number: 0 }
  const request = {
    compare: [{ key, rangeEnd: bytes(""), target: 2, result: 1, targetUnion: mod }],
    success: [{ kind: "put" as const, put: puts[i % 1000]! }],
    failure: [{ kind: "range" as const, range: rangeRequest("a") }]
  }
  if (checkTxn(request, { maxTxnOps: 128 }) !== undefined) throw new Error("refused")
  apply(evaluateTxn(store, request, next()))
})
const mixed = txnRequest([compare("a", 2, 0, undefined)], [put("b"), range("b"), put("c"), range("b", "d")])
measure("Txn of put, range, put, range", 50_000, () => apply(evaluateTxn(store, mixed, next())))

const gets = Array.from({ length: 1000 }, (_, i) => rangeRequest(name(i * 17)))
const view = store.committedRevision
const answer = (request: ReturnType<typeof rangeRequest>) => {
  const outcome = store.range(request, view)
  if (isEtcdError(outcome)) throw new Error(outcome.message)
  return rangeResponse(outcome, undefined)
}
measure("get", 500_000, (i) => answer(gets[i % 1000]!))
const page = rangeRequest("/registry/pods/", "/registry/pods0", { limit: 1000 })
measure("range, a page of 1000 of all keys, per page", 1000, () => answer(page))
const oldPage = { ...page, revision: view - 20_000, keysOnly: true }
measure("the same, keys only, 20,000 revisions ago", 100, () => answer(oldPage))
const all = { ...page, limit: 0, countOnly: true }
measure("count of all keys", 100_000, () => answer(all))
measure(`compaction of ${store.stats.versions - store.stats.keys} versions`, 1, () => store.compact(view))
