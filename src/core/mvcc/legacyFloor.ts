/**
 * The floor of a history that Netsy 1.x has compacted: it emptied the values of old rows but kept no record of up to
 * where. A reader may not go below the revision that superseded an emptied row (netsy-1x.md 10.3).
 */
import type { LogRecord } from "../log/record.ts"
import { keyString } from "./keys.ts"

export class LegacyFloor {
  #floor = 0
  readonly #emptied = new Set<string>()

  /** Every loaded key change, in revision order. */
  add(record: LogRecord): void {
    if (record.compactedAt === undefined && this.#emptied.size === 0) return
    const key = keyString(record.key)
    if (this.#emptied.delete(key)) this.#floor = record.revision
    if (record.compactedAt === undefined) return
    if (record.deleted) this.#floor = record.revision
    else this.#emptied.add(key)
  }

  /** 0 when nothing was emptied. */
  get floor(): number {
    return this.#floor
  }
}
