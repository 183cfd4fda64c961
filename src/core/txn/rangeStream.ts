/** Rule R12: what a range stream refuses, and how big its chunks are. */
import { Code, type EtcdError, etcdError } from "../wire/errors.ts"
import { type RangeRequest, SortOrder, SortTarget } from "../wire/messages.ts"

const customSort = etcdError(Code.Unimplemented, "RangeStream does not support custom sort orders")
const filters = etcdError(Code.Unimplemented, "RangeStream does not support revision filters")

/** Keys ascending, and any target without an order, are served. */
export const streamRefusal = (request: RangeRequest): EtcdError | undefined => {
  const { sortOrder, sortTarget } = request
  const inKeyOrder = sortOrder === SortOrder.None || (sortOrder === SortOrder.Ascend && sortTarget === SortTarget.Key)
  if (!inKeyOrder) return customSort
  const filtered =
    request.minModRevision !== 0 ||
    request.maxModRevision !== 0 ||
    request.minCreateRevision !== 0 ||
    request.maxCreateRevision !== 0
  return filtered ? filters : undefined
}

export const chunkKeysFirst = 10
/** No slice of the index takes longer than some milliseconds, however small its keys are. */
const chunkKeysMax = 20_000

/** How many keys the next chunk takes, by the size of the last one: between half and twice the wanted bytes. */
export const nextChunkKeys = (keys: number, bytes: number, wantedBytes: number): number => {
  if (bytes < wantedBytes / 2) return Math.min(keys * 2, chunkKeysMax)
  return bytes > wantedBytes * 2 ? Math.max(1, Math.floor(keys / 2)) : keys
}
