/** Speed of encoding and decoding chunks on one core: 1,000 entries of 300 bytes, and 64 of 16 KiB. Run with `node`. */
import { BodyReader, HeaderReader } from "../../src/core/datafile/reader.ts"
import { encodeChunk } from "../../src/core/datafile/writer.ts"
import type { Entry } from "../../src/core/log/record.ts"

const entriesOf = (count: number, valueBytes: number): Array<Entry> =>
  Array.from({ length: count }, (_, i) => {
    const revision = i + 1
    const key = new TextEncoder().encode(`/registry/leases/kube-node-lease/node-${revision}`)
    const value = Uint8Array.from({ length: valueBytes }, (_, j) => (j * 31 + i) & 0xff)
    const record = {
      index: revision,
      term: 1,
      sub: 0,
      revision,
      key,
      created: true,
      deleted: false,
      createRevision: revision,
      prevRevision: 0,
      version: 1,
      lease: 0n,
      dek: 0,
      value,
      createdAt: { seconds: 1700000000, nanos: 123456789 },
      compactedAt: undefined,
      leaderId: "node-1",
      replicatedAt: undefined,
      op: undefined
    }
    return { index: revision, term: 1, revision, records: [record] }
  })

const facts = {
  leaderId: "node-1",
  createdAt: { seconds: 1700000000, nanos: 0 },
  term: 1,
  prevTerm: 0,
  stored: 0,
  compactionRevision: 0
}

const measure = (name: string, records: number, bytes: number, rounds: number, run: () => void): void => {
  for (let i = 0; i < rounds / 3; i++) run()
  const start = performance.now()
  for (let i = 0; i < rounds; i++) run()
  const seconds = (performance.now() - start) / 1000
  const perSecond = ((records * rounds) / seconds / 1000).toFixed(0)
  console.log(
    `${name.padEnd(24)} ${perSecond.padStart(7)}k records/s  ${((bytes * rounds) / 1e6 / seconds).toFixed(0)} MB/s`
  )
}

for (const [count, valueBytes] of [
  [1000, 240],
  [64, 16384],
  [1, 240]
] as const) {
  const entries = entriesOf(count, valueBytes)
  const { bytes } = encodeChunk(entries, facts, false)
  const rounds = Math.ceil(4e8 / bytes.length / 4)
  measure(`encode ${count} × ${valueBytes} B`, count, bytes.length, rounds, () => encodeChunk(entries, facts, false))
  measure(`decode ${count} × ${valueBytes} B`, count, bytes.length, rounds, () => {
    const header = new HeaderReader("bench")
    header.push(bytes)
    const body = new BodyReader("bench", header.header!, header.bodyOffset)
    body.push(header.rest())
    body.finish()
  })
}
