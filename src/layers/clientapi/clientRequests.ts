/** Counts requests by the version of the client's API, as etcd does, and the operations on keys that they came to. */
import { etcdCatalog } from "../../core/metrics/etcdCatalog.ts"
import type { TxnResponse } from "../../core/wire/messages.ts"
import type { CallContext } from "../../services/ClientApi.ts"
import type { Counter, Labels, Metrics } from "../../services/Metrics.ts"

/** Label sets that are made; the rest counts as unknown, so that no client fills the memory. */
const versionsMax = 32

export const makeClientRequests = (
  metrics: Metrics["Service"]
): ((type: "unary" | "stream", context: CallContext) => void) => {
  const total = metrics.counter(etcdCatalog.clientRequests)
  const labels = { unary: new Map<string, Labels>(), stream: new Map<string, Labels>() }
  const labelsOf = (type: "unary" | "stream", version: string): Labels => {
    const known = labels[type].get(version)
    if (known !== undefined) return known
    const isNew = labels[type].size < versionsMax && /^[\w.+-]{1,32}$/.test(version)
    if (!isNew && version !== "unknown") return labelsOf(type, "unknown")
    const made = Object.freeze({ type, client_api_version: version })
    labels[type].set(version, made)
    return made
  }
  return (type, context) => total.inc(labelsOf(type, context.metadata("client-api-version") ?? "unknown"))
}

/** Operations on keys: single ones by the kind of request, those in transactions by the answer. */
export interface KeyCounts {
  readonly single: (kind: string) => Counter | undefined
  readonly txn: (response: TxnResponse) => void
}

export const makeKeyCounts = (metrics: Metrics["Service"]): KeyCounts => {
  const ranges = metrics.counter(etcdCatalog.ranges)
  const puts = metrics.counter(etcdCatalog.puts)
  const deletes = metrics.counter(etcdCatalog.deletes)
  const txns = metrics.counter(etcdCatalog.txns)
  const singles: Readonly<Record<string, Counter>> = { range: ranges, put: puts, delete_range: deletes }
  const count = ({ responses }: TxnResponse): void => {
    for (const response of responses) {
      if (response.kind === "range") ranges.inc()
      else if (response.kind === "put") puts.inc()
      else if (response.kind === "deleteRange") deletes.inc()
      else if (response.kind === "txn") count(response.txn)
    }
  }
  return {
    single: (kind) => singles[kind],
    txn: (response) => {
      txns.inc()
      count(response)
    }
  }
}
