/** Requests that the tests of many parts make. */
import { emptyBytes } from "../../src/core/log/record.ts"
import type { RangeRequest } from "../../src/core/wire/messages.ts"

/** A linearizable read of one key at the newest revision, unless it says more. */
export const rangeOf = (key: Uint8Array, more: Partial<RangeRequest> = {}): RangeRequest => ({
  key,
  rangeEnd: emptyBytes,
  limit: 0,
  revision: 0,
  sortOrder: 0,
  sortTarget: 0,
  serializable: false,
  keysOnly: false,
  countOnly: false,
  minModRevision: 0,
  maxModRevision: 0,
  minCreateRevision: 0,
  maxCreateRevision: 0,
  ...more
})
