/** Changes something small in a history, so that it may or may not be linearizable any more. */
import type { Answer, History, Kv, Operation, Result } from "./history.ts"

export const spoil = (history: History, random: () => number): History => {
  const below = (n: number): number => Math.floor(random() * n)
  const kvOf = (kv: Kv): Kv => {
    switch (below(4)) {
      case 0:
        return { ...kv, value: `v${below(6)}` }
      case 1:
        return { ...kv, mod: Math.max(2, kv.mod + below(3) - 1) }
      case 2:
        return { ...kv, version: kv.version + 1 }
      default:
        return { ...kv, create: Math.max(2, kv.create - 1) }
    }
  }
  const resultOf = (result: Result): Result => {
    switch (result.kind) {
      case "put":
        return result
      case "delete":
        return { kind: "delete", deleted: Math.max(0, result.deleted + below(3) - 1) }
      case "get": {
        if (result.kvs.length === 0) return result
        const i = below(result.kvs.length)
        const kvs =
          random() < 0.3
            ? result.kvs.filter((_, at) => at !== i)
            : result.kvs.map((kv, at) => (at === i ? kvOf(kv) : kv))
        return { kind: "get", kvs, count: kvs.length }
      }
      case "txn":
        return { ...result, results: result.results.map((one) => (random() < 0.5 ? resultOf(one) : one)) }
    }
  }
  const answerOf = (answer: Answer): Answer =>
    random() < 0.5
      ? { ...answer, revision: Math.max(1, answer.revision + (random() < 0.5 ? 1 : -1)) }
      : { ...answer, result: resultOf(answer.result) }
  const target = below(history.operations.length)
  const change = (operation: Operation): Operation => {
    const { outcome } = operation
    if (outcome.kind === "failed") return { ...operation, outcome: { kind: "unknown", reason: "" }, returned: Infinity }
    if (outcome.kind === "unknown") return { ...operation, outcome: { kind: "failed", reason: "" } }
    switch (below(4)) {
      case 0:
        return { ...operation, outcome: { kind: "failed", reason: "" } }
      case 1:
        // Answered sooner.
        return { ...operation, returned: operation.invoked + 0.5 }
      default:
        return { ...operation, outcome: { kind: "ok", answer: answerOf(outcome.answer) } }
    }
  }
  return {
    ...history,
    operations: history.operations.map((operation, i) => (i === target ? change(operation) : operation))
  }
}
