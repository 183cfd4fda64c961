/** What a write adds to the database at most, as etcd counts it for its quota (etcd-api.md 2.8). */
import type { PutRequest, RequestOp, TxnRequest } from "../wire/messages.ts"

const overheadBytes = 256

/** Bytes that a grant is counted with. */
export const leaseGrantCost = 64

export const putCost = (request: PutRequest): number => overheadBytes + request.key.length + request.value.length

/** The dearer branch; 0 when neither puts anything. */
export const txnCost = (request: TxnRequest): number =>
  Math.max(branchCost(request.success), branchCost(request.failure))

const branchCost = (ops: ReadonlyArray<RequestOp>): number => {
  let cost = 0
  for (const op of ops) {
    if (op.kind === "put") cost += putCost(op.put)
    else if (op.kind === "txn") cost += txnCost(op.txn)
  }
  return cost
}
