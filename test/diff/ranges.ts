/** Finds every Range of a request beside its response, in transactions of any depth. */
import type { Plain } from "./messages.ts"
import type { Answer, Operation } from "./operations.ts"

type Change = (request: Plain, response: Plain) => Plain

const opsOf = (request: Plain, response: Plain, change: Change): Plain => {
  const branch = ((response["succeeded"] === true ? request["success"] : request["failure"]) ??
    []) as ReadonlyArray<Plain>
  const responses = (response["responses"] ?? []) as ReadonlyArray<Plain>
  if (responses.length === 0) return response
  return {
    ...response,
    responses: responses.map((one, at) => {
      const asked = branch[at] ?? {}
      const [range, txn] = [asked["request_range"], asked["request_txn"]]
      if (range !== undefined && one["response_range"] !== undefined) {
        return { response_range: change(range as Plain, one["response_range"] as Plain) }
      }
      if (txn !== undefined && one["response_txn"] !== undefined) {
        return { response_txn: opsOf(txn as Plain, one["response_txn"] as Plain, change) }
      }
      return one
    })
  }
}

/** The answer with `change` made to every Range response in it. */
export const inRanges = (operation: Operation, request: Plain, answer: Answer, change: Change): Answer => {
  if (answer.body === undefined) return answer
  if (operation.kind === "rangeStream" || (operation.kind === "call" && operation.method === "KV.Range")) {
    return { ...answer, body: change(request, answer.body) }
  }
  if (operation.kind === "call" && operation.method === "KV.Txn") {
    return { ...answer, body: opsOf(request, answer.body, change) }
  }
  return answer
}
