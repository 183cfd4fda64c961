/**
 * The golden files of this directory: how each is made, and what a reader must say of it. Their bytes are fixed for good;
 * `node test/golden/files.ts` writes those that are missing, and none that is there.
 */
import { existsSync, writeFileSync } from "node:fs"
import { zstdCompressSync } from "node:zlib"
import { writeFooter, writeHeader } from "../../src/core/datafile/header.ts"
import { encodeChunk, SnapshotWriter } from "../../src/core/datafile/writer.ts"
import type { Check } from "../../src/core/datafile/types.ts"
import { encodeOp, type Op } from "../../src/core/log/op.ts"
import { Writer } from "../../src/core/wire/protobuf.ts"
import { concat, entry, facts, messagesOf, opRecord, readPlain, record, utf8 } from "../datafile/support.ts"

export interface Golden {
  readonly bytes: Uint8Array
  /** Undefined: whole. */
  readonly damage?: { readonly check: Check; readonly offset: number }
}

const none = new Uint8Array(0)

const internal = (term: number) =>
  record({ revision: 1, term, key: utf8("_netsy"), value: none, createdAt: { seconds: 1700000000, nanos: 500000000 } })

const mixed = () => [
  entry(internal(1)),
  entry(record({ revision: 2, lease: 7587886738593234954n })),
  entry(
    ...[0, 1, 2].map((sub) =>
      record({ revision: 3, sub, key: Uint8Array.of(0, 255, sub), created: sub > 0, version: sub === 0 ? 2 : 1, createRevision: 3 })
    )
  ),
  entry(record({ revision: 4, deleted: true, created: false, version: 0, value: none, prevRevision: 2 })),
  entry(opRecord({ kind: "noOp" }, { revision: 4, index: 5, term: 2 })),
  entry(opRecord({ kind: "compaction", revision: 3, physical: true }, { revision: 4, index: 6, term: 2 })),
  entry(record({ revision: 5, index: 7, term: 2 }))
]

/** 300 records that Netsy 1.x could have in an uncompressed snapshot. */
const oldSnapshot = () => {
  const records = Array.from({ length: 30 }, (_, i) => (i === 0 ? internal(0) : record({ revision: i + 1, term: 0 })))
  const writer = new SnapshotWriter({
    leaderId: "dev-cluster",
    createdAt: { seconds: 1700000001, nanos: 0 },
    term: 0,
    compactionRevision: 0,
    lastIndex: 30,
    lastTerm: 0,
    revision: 30,
    recordsCount: records.length,
    compress: false
  })
  return concat(writer.header(), writer.records(records), writer.footer())
}

const snapshot = () => {
  const writer = new SnapshotWriter({
    leaderId: "node-1",
    createdAt: { seconds: 1700000001, nanos: 0 },
    term: 2,
    compactionRevision: 3,
    lastIndex: 7,
    lastTerm: 2,
    revision: 5,
    recordsCount: 3,
    compress: true
  })
  const header = writer.header()
  const body = writer.records([
    opRecord({ kind: "leaseGrant", id: 7587886738593234954n, ttlSeconds: 60, remainingTtlSeconds: 0 }, { revision: 1, index: 2 }),
    record({ revision: 3 }),
    record({ revision: 5, index: 7, term: 2 })
  ])
  return { header, body: concat(body, writer.footer()) }
}

const flip = (bytes: Uint8Array, at: number): Uint8Array => {
  const out = bytes.slice()
  out[at]! ^= 1
  return out
}

/** The old snapshot with other records, and a header that announces as many: only the all-records CRC can tell. */
const rearranged = (arrange: (records: ReadonlyArray<Uint8Array>) => ReadonlyArray<Uint8Array>): Uint8Array => {
  const bytes = oldSnapshot()
  const messages = messagesOf(bytes).map((m) => bytes.subarray(m.start, m.end))
  const records = arrange(messages.slice(1, -1))
  const header = new Writer()
  writeHeader(header, { ...readPlain(bytes).header, recordsCount: records.length })
  return concat(header.view(), ...records, messages[messages.length - 1]!)
}

const offsetOf = (bytes: Uint8Array, message: number): number => messagesOf(bytes)[message]!.start

export const opExamples: Readonly<Record<string, Op>> = {
  "no-op": { kind: "noOp" },
  "lease-grant": { kind: "leaseGrant", id: 7587886738593234954n, ttlSeconds: 60, remainingTtlSeconds: 45 },
  "lease-revoke": { kind: "leaseRevoke", id: 7587886738593234954n },
  "lease-checkpoint": {
    kind: "leaseCheckpoint",
    leases: [
      { id: 1n, remainingTtlSeconds: 30 },
      { id: 9223372036854775807n, remainingTtlSeconds: 9000000000 }
    ]
  },
  compaction: { kind: "compaction", revision: 9007199254740991, physical: true },
  alarm: { kind: "alarm", memberId: 18446744073709551615n, type: 1, action: 1 },
  member: {
    kind: "member",
    member: {
      action: 1,
      memberId: 3n,
      nodeId: "node-3",
      peerUrls: ["https://10.0.0.3:2381"],
      clientUrls: ["https://10.0.0.3:2378", "https://node-3:2378"],
      isLearner: true
    }
  },
  "auth-enable": { kind: "auth", auth: { authRevision: 2, change: { kind: "enable" } } },
  "auth-disable": { kind: "auth", auth: { authRevision: 3, change: { kind: "disable" } } },
  "auth-user-add": {
    kind: "auth",
    auth: { authRevision: 4, change: { kind: "userAdd", name: "alice", passwordHash: utf8("$2a$10$hash"), noPassword: false } }
  },
  "auth-user-delete": { kind: "auth", auth: { authRevision: 5, change: { kind: "userDelete", name: "alice" } } },
  "auth-user-change-password": {
    kind: "auth",
    auth: { authRevision: 6, change: { kind: "userChangePassword", name: "bob", passwordHash: none, noPassword: true } }
  },
  "auth-user-grant-role": { kind: "auth", auth: { authRevision: 7, change: { kind: "userGrantRole", name: "alice", role: "root" } } },
  "auth-user-revoke-role": { kind: "auth", auth: { authRevision: 8, change: { kind: "userRevokeRole", name: "alice", role: "root" } } },
  "auth-role-add": { kind: "auth", auth: { authRevision: 9, change: { kind: "roleAdd", name: "reader" } } },
  "auth-role-delete": { kind: "auth", auth: { authRevision: 10, change: { kind: "roleDelete", name: "reader" } } },
  "auth-role-grant-permission": {
    kind: "auth",
    auth: {
      authRevision: 11,
      change: { kind: "roleGrantPermission", name: "reader", permission: { type: 2, key: utf8("a"), rangeEnd: utf8("b") } }
    }
  },
  "auth-role-revoke-permission": {
    kind: "auth",
    auth: { authRevision: 12, change: { kind: "roleRevokePermission", name: "reader", key: utf8("a"), rangeEnd: Uint8Array.of(0) } }
  },
  "auth-state": { kind: "auth", auth: { authRevision: 13, change: { kind: "state", enabled: true } } },
  "auth-user": {
    kind: "auth",
    auth: {
      authRevision: 13,
      change: { kind: "user", name: "alice", passwordHash: utf8("$2a$10$hash"), noPassword: false, roles: ["root", "reader"] }
    }
  },
  "auth-role": {
    kind: "auth",
    auth: {
      authRevision: 13,
      change: {
        kind: "role",
        name: "reader",
        permissions: [
          { type: 0, key: utf8("a"), rangeEnd: none },
          { type: 1, key: none, rangeEnd: Uint8Array.of(0) }
        ]
      }
    }
  }
}

export const goldenFiles = (): Record<string, Golden> => {
  const vector = encodeChunk([entry(internal(0))], { ...facts, term: 0 }).bytes
  const plain = encodeChunk(mixed(), { ...facts, term: 2, stored: 0 }, false).bytes
  const zstd = encodeChunk(mixed(), { ...facts, term: 2, stored: 0 }, true)
  const old = oldSnapshot()
  const snap = snapshot()
  const ops = encodeChunk(
    Object.values(opExamples).map((op, i) => entry(opRecord(op, { revision: 1, index: i + 1 }))),
    facts,
    false
  ).bytes
  const footer = new Writer()
  writeFooter(footer, { recordsCrcHigh: 1, recordsCrcLow: 2, firstRevision: 1, lastRevision: 1 })
  const missing = rearranged((records) => [...records.slice(0, 10), ...records.slice(20)])
  const duplicated = rearranged((records) => [...records.slice(0, 10), records[9]!, ...records.slice(10)])
  const reordered = rearranged((records) => [...records.slice(0, 5), records[6]!, records[5]!, ...records.slice(7)])
  const fewer = concat(old.subarray(0, offsetOf(old, 11)), old.subarray(offsetOf(old, 13)))
  return {
    "netsy-1x-chunk": { bytes: vector },
    "netsy-1x-snapshot": { bytes: old },
    chunk: { bytes: plain },
    "chunk-zstd": { bytes: concat(zstd.bytes.subarray(0, zstd.headerBytes), zstdCompressSync(zstd.bytes.subarray(zstd.headerBytes))) },
    "snapshot-zstd": { bytes: concat(snap.header, zstdCompressSync(snap.body)) },
    ops: { bytes: ops },
    "damaged-header": { bytes: flip(old, 16), damage: { check: "header crc", offset: 0 } },
    "damaged-record": {
      bytes: flip(old, offsetOf(old, 7) + 20),
      damage: { check: "record crc", offset: offsetOf(old, 7) }
    },
    "damaged-footer": {
      bytes: flip(old, old.length - 12),
      damage: { check: "footer crc", offset: offsetOf(old, 31) }
    },
    "records-crc": {
      bytes: concat(vector.subarray(0, offsetOf(vector, 2)), footer.view()),
      damage: { check: "records crc", offset: offsetOf(vector, 2) }
    },
    "records-missing": { bytes: missing, damage: { check: "records crc", offset: offsetOf(missing, 21) } },
    "records-missing-from-count": { bytes: fewer, damage: { check: "record count", offset: offsetOf(fewer, 29) } },
    "records-duplicated": { bytes: duplicated, damage: { check: "record order", offset: offsetOf(duplicated, 11) } },
    "records-reordered": { bytes: reordered, damage: { check: "record order", offset: offsetOf(reordered, 7) } },
    truncated: { bytes: old.subarray(0, offsetOf(old, 20) + 9), damage: { check: "truncated", offset: offsetOf(old, 20) } }
  }
}

export const opBytes = (): Record<string, string> =>
  Object.fromEntries(Object.entries(opExamples).map(([name, op]) => [name, Buffer.from(encodeOp(op)).toString("hex")]))

if (process.argv[1] === import.meta.filename) {
  const write = (name: string, contents: string | Uint8Array): void => {
    const path = new URL(name, import.meta.url)
    if (!existsSync(path)) writeFileSync(path, contents)
  }
  for (const [name, { bytes }] of Object.entries(goldenFiles())) write(`${name}.netsy`, bytes)
  write("ops.json", `${JSON.stringify(opBytes(), null, 2)}\n`)
}
