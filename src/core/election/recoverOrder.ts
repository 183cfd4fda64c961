/**
 * `leader/recover.json`: an operator's word that a recovery with possible loss need not wait for its time, or comes at all
 * where there is no such time (design 6.4). Names the term that it is about, so a later term knows nothing of it.
 */
export const recoverOrderKey = "leader/recover.json"

export const encodeRecoverOrder = (order: { readonly term: number; readonly nodeId: string }): Uint8Array =>
  new TextEncoder().encode(JSON.stringify({ term: order.term, node_id: order.nodeId }))

/** The term that it is about; undefined: not an order that can be understood. */
export const decodeRecoverOrder = (bytes: Uint8Array): number | undefined => {
  try {
    const json: unknown = JSON.parse(new TextDecoder().decode(bytes))
    const term = typeof json === "object" && json !== null ? (json as Record<string, unknown>)["term"] : undefined
    return typeof term === "number" && Number.isSafeInteger(term) && term > 0 ? term : undefined
  } catch {
    return undefined
  }
}
