/** What etcd would hold, the slow way: every change kept, rows and hashes made by going through all of them. */
import { crc32 } from "./slowCrc.ts"

export interface Change {
  readonly key: string
  readonly revision: number
  readonly sub: number
  /** Undefined: deleted. */
  readonly value: string | undefined
  readonly createRevision: number
  readonly version: number
}

export interface Row {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

const varint = (value: number): Array<number> =>
  value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))]

const number = (field: number, value: number): Array<number> => (value === 0 ? [] : [field * 8, ...varint(value)])

const bytes = (field: number, value: Buffer): Array<number> =>
  value.length === 0 ? [] : [field * 8 + 2, ...varint(value.length), ...value]

const rowOf = ({ createRevision, key, revision, sub, value, version }: Change): Row => {
  const main = Buffer.alloc(17, "_")
  main.writeBigUInt64BE(BigInt(revision), 0)
  main.writeBigUInt64BE(BigInt(sub), 9)
  if (value === undefined) {
    return { key: Buffer.concat([main, Buffer.from("t")]), value: Buffer.from(bytes(1, Buffer.from(key))) }
  }
  const parts = [bytes(1, Buffer.from(key)), number(2, createRevision), number(3, revision), number(4, version)]
  return { key: main, value: Buffer.from([...parts.flat(), ...bytes(5, Buffer.from(value))]) }
}

export class Model {
  revision = 1
  compacted = -1
  readonly changes: Array<Change> = []

  /** One transaction; deletes of keys that are not there are nothing. */
  write(changes: ReadonlyArray<{ readonly key: string; readonly value: string | undefined }>): void {
    const real = changes.filter(({ key, value }) => value !== undefined || this.live(key) !== undefined)
    if (real.length === 0) return
    this.revision++
    for (const [sub, { key, value }] of real.entries()) {
      const before = this.live(key)
      const createRevision = before?.createRevision ?? this.revision
      const version = value === undefined ? 0 : (before?.version ?? 0) + 1
      this.changes.push({ key, value, revision: this.revision, sub, createRevision, version })
    }
  }

  live(key: string, at = this.revision): Change | undefined {
    const newest = this.changes.findLast((change) => change.key === key && change.revision <= at)
    return newest?.value === undefined ? undefined : newest
  }

  /** The bucket `key` at a revision, after everything up to `compacted` was compacted that is to be. */
  rows(revision = this.revision, compacted = this.compacted): ReadonlyArray<Row> {
    return this.kept(compacted)
      .filter((change) => change.revision <= revision)
      .map(rowOf)
  }

  private kept(compacted: number): ReadonlyArray<Change> {
    return this.changes.filter((change) => {
      if (change.revision > compacted) return true
      if (change.value === undefined) return change.revision === compacted
      return this.live(change.key, compacted) === change
    })
  }

  /** As etcd 3.7 computes HashKV. */
  hashKv(revision = this.revision): number {
    const keys = new Set(this.changes.map(({ key }) => key))
    const keep = new Set([...keys].flatMap((key) => this.live(key, revision) ?? []))
    const rows = this.kept(this.compacted).filter((change) => {
      if (change.revision > revision) return false
      if (change.revision <= this.compacted && keep.size > 0 && !keep.has(change)) return false
      return !(change.revision === this.compacted && change.value === undefined)
    })
    return crc32([Buffer.from("key"), ...rows.map(rowOf).flatMap(({ key, value }) => [key, value])])
  }
}
