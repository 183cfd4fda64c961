/**
 * Everything that was written and answered, by revision, and what a watch must therefore have seen. Deletions that
 * nobody asked for are right only as the end of a lease: not before its time, and all its keys in one revision.
 */
import { crc32 } from "node:zlib"
import { EventType, type Event, type KeyValue } from "../../src/core/wire/messages.ts"

export interface Write {
  readonly key: string
  /** CRC-32 of the value; undefined: the key was deleted. */
  readonly crc: number | undefined
  readonly lease: bigint
}

export interface Lease {
  readonly ttlSeconds: number
  /** When the request was sent and when it was answered, by this process's monotonic clock. */
  readonly sentMillis: number
  readonly answeredMillis: number
}

/** An event as a watch saw it, without its value. */
export interface Seen {
  readonly revision: number
  readonly key: string
  readonly put: boolean
  readonly crc: number
  readonly createRevision: number
  readonly version: number
  readonly lease: bigint
  readonly prev: { readonly revision: number; readonly crc: number } | undefined
  readonly atMillis: number
}

/** What a key holds. */
export interface Held {
  readonly revision: number
  readonly createRevision: number
  readonly version: number
  readonly crc: number
  readonly lease: bigint
}

export const textOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")

export const heldBy = (kv: KeyValue): Held => ({
  revision: kv.modRevision,
  createRevision: kv.createRevision,
  version: kv.version,
  crc: crc32(kv.value),
  lease: kv.lease
})

export const seenEvent = (event: Event): Seen => ({
  revision: event.kv.modRevision,
  key: textOf(event.kv.key),
  put: event.type === EventType.Put,
  crc: crc32(event.kv.value),
  createRevision: event.kv.createRevision,
  version: event.kv.version,
  lease: event.kv.lease,
  prev: event.prevKv === undefined ? undefined : { revision: event.prevKv.modRevision, crc: crc32(event.prevKv.value) },
  atMillis: performance.now()
})

/** Compares what two sides say a list is; the first difference in words. */
export const listDifference = (got: ReadonlyMap<string, Held>, want: ReadonlyMap<string, Held>): string | undefined => {
  for (const [key, held] of want) {
    const other = got.get(key)
    if (other === undefined) return `${key} of revision ${held.revision} is missing`
    for (const field of ["revision", "createRevision", "version", "crc", "lease"] as const) {
      if (other[field] !== held[field]) return `${key} has ${field} ${other[field]} instead of ${held[field]}`
    }
  }
  for (const [key, held] of got) if (!want.has(key)) return `${key} of revision ${held.revision} should not be there`
  return undefined
}

/** Late by more than this is a violation: the check every 500 ms, and a slow machine. */
const lateMillis = 10_000

export class History {
  readonly writes = new Map<number, Write>()
  readonly leases = new Map<bigint, Lease>()
  readonly violations: Array<string> = []
  /** How long after the end of its lease a key's deletion was seen. */
  readonly latenessMillis: Array<number> = []

  write(revision: number, write: Write): void {
    if (this.writes.has(revision)) this.violation(`revision ${revision} was given to two writes`)
    this.writes.set(revision, write)
  }

  violation(text: string): void {
    // The first ones tell; a broken server would make thousands.
    if (this.violations.length < 50 && !this.violations.includes(text)) this.violations.push(text)
  }

  /** Replays a watch of `prefix` that began behind `start` with nothing there; what is there at its end. */
  judge(name: string, prefix: string, start: number, seen: ReadonlyArray<Seen>): ReadonlyMap<string, Held> {
    const held = new Map<string, Held>()
    const ended = new Map<bigint, number>()
    const revisions = new Set<number>()
    let last = start
    for (const event of seen) {
      const at = `${name}: revision ${event.revision}, ${event.key}`
      const before = held.get(event.key)
      const written = this.writes.get(event.revision)
      if (event.revision < last) this.violation(`${at} came after revision ${last}`)
      if (written !== undefined && event.revision === last) this.violation(`${at} came twice`)
      last = event.revision
      revisions.add(last)
      if (event.prev?.revision !== before?.revision || event.prev?.crc !== before?.crc) {
        this.violation(`${at}: prev_kv is of ${event.prev?.revision ?? "nothing"} instead of ${before?.revision}`)
      }
      if (written === undefined) this.#ending(at, event, before, ended)
      else if (written.key !== event.key || event.put !== (written.crc !== undefined)) {
        this.violation(`${at} is not what was written there, ${written.key}`)
      } else if (event.put) {
        const version = (before?.version ?? 0) + 1
        const created = before?.createRevision ?? event.revision
        if (event.crc !== written.crc) this.violation(`${at} has another value than was written`)
        if (event.version !== version || event.createRevision !== created || event.lease !== written.lease) {
          this.violation(`${at} has version ${event.version} and create revision ${event.createRevision}`)
        }
      }
      if (event.put) held.set(event.key, { ...event, revision: event.revision })
      else held.delete(event.key)
    }
    for (const [revision, write] of this.writes) {
      if (revision > start && write.key.startsWith(prefix) && !revisions.has(revision)) {
        this.violation(`${name}: revision ${revision}, ${write.key}, was written and not seen`)
      }
    }
    return held
  }

  #ending(at: string, event: Seen, before: Held | undefined, ended: Map<bigint, number>): void {
    const lease = this.leases.get(before?.lease ?? 0n)
    if (event.put || before === undefined || lease === undefined) {
      return this.violation(`${at} was written by nobody`)
    }
    const early = lease.sentMillis + lease.ttlSeconds * 1000 - event.atMillis
    if (early > 0) this.violation(`${at} was deleted ${early.toFixed(0)} ms before the end of its lease`)
    const late = event.atMillis - lease.answeredMillis - lease.ttlSeconds * 1000
    this.latenessMillis.push(late)
    if (late > lateMillis) this.violation(`${at} was deleted ${late.toFixed(0)} ms after the end of its lease`)
    const first = ended.get(before.lease)
    if (first !== undefined && first !== event.revision) {
      this.violation(`${at}: other keys of the lease were deleted at revision ${first}`)
    }
    ended.set(before.lease, event.revision)
  }
}
