/** The judge of test-kube notices what a watch must not do. */
import { crc32 } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { History, listDifference, type Seen } from "./history.ts"

const a = "/registry/pods/a"
const b = "/registry/events/b"
const lease = 7n
const crcOf = (value: string): number => crc32(Buffer.from(value))

const put = (revision: number, key: string, value: string, version: number, before?: Seen, of = 0n): Seen => ({
  revision,
  key,
  put: true,
  crc: crcOf(value),
  createRevision: before?.createRevision ?? revision,
  version,
  lease: of,
  prev: before === undefined ? undefined : { revision: before.revision, crc: before.crc },
  atMillis: revision * 1000
})
const deleted = (revision: number, before: Seen): Seen => ({
  revision,
  key: before.key,
  put: false,
  crc: crcOf(""),
  createRevision: 0,
  version: 0,
  lease: 0n,
  prev: { revision: before.revision, crc: before.crc },
  atMillis: revision * 1000
})

const first = put(2, a, "1", 1)
const second = put(3, a, "2", 2, first)
const leased = put(4, b, "3", 1, undefined, lease)
const gone = deleted(5, second)
const ended = deleted(6, leased)
const right: ReadonlyArray<Seen> = [first, second, leased, gone, ended]

/** What the history says of a watch; the lease is for two seconds from second 3 on. */
const judge = (seen: ReadonlyArray<Seen>): ReadonlyArray<string> => {
  const history = new History()
  history.leases.set(lease, { ttlSeconds: 2, sentMillis: 3000, answeredMillis: 3500 })
  history.write(2, { key: a, crc: crcOf("1"), lease: 0n })
  history.write(3, { key: a, crc: crcOf("2"), lease: 0n })
  history.write(4, { key: b, crc: crcOf("3"), lease })
  history.write(5, { key: a, crc: undefined, lease: 0n })
  history.judge("a watch", "/registry/", 1, seen)
  return history.violations
}
const replaced = (one: Seen, by: Partial<Seen>): ReadonlyArray<Seen> =>
  right.map((seen) => (seen === one ? { ...one, ...by } : seen))

describe("the judge of the apiservers' watches", () => {
  it("finds nothing wrong with a watch that saw what was written", () => {
    assert.deepStrictEqual(judge(right), [])
  })

  it.each<readonly [string, ReadonlyArray<Seen>, RegExp]>([
    ["a write that was not seen", right.filter((seen) => seen !== gone), /revision 5, .* was written and not seen/],
    ["an event that came twice", [first, second, second, leased, gone, ended], /revision 3, .* came twice/],
    ["events out of order", [first, leased, second, gone, ended], /revision 3, .* came after revision 4/],
    ["another value", replaced(second, { crc: crcOf("x") }), /has another value than was written/],
    ["another key", replaced(second, { key: b }), /is not what was written there/],
    ["a deletion instead of a write", replaced(second, { put: false }), /is not what was written there/],
    ["no prev_kv", replaced(second, { prev: undefined }), /prev_kv is of nothing instead of 2/],
    ["the prev_kv of another revision", replaced(gone, { prev: { revision: 2, crc: first.crc } }), /prev_kv is of 2/],
    ["a wrong version", replaced(second, { version: 1 }), /has version 1/],
    ["a wrong creation", replaced(second, { createRevision: 3 }), /create revision 3/],
    ["a wrong lease", replaced(leased, { lease: 0n }), /has version 1/],
    ["a deletion by nobody", [...right.slice(0, 2), deleted(9, second)], /revision 9, .* was written by nobody/],
    ["a lease that ends early", replaced(ended, { atMillis: 4900 }), /100 ms before the end of its lease/],
    ["a lease that ends late", replaced(ended, { atMillis: 16_000 }), /10500 ms after the end of its lease/]
  ])("notices %s", (_, seen, complaint) => {
    assert.match(judge(seen).join("\n"), complaint)
  })

  it("notices a lease whose keys went at different revisions", () => {
    const other = put(5, `${b}2`, "4", 1, undefined, lease)
    const history = new History()
    history.leases.set(lease, { ttlSeconds: 1, sentMillis: 0, answeredMillis: 0 })
    history.write(4, { key: b, crc: crcOf("3"), lease })
    history.write(5, { key: `${b}2`, crc: crcOf("4"), lease })
    history.judge("a watch", "/registry/", 1, [leased, other, deleted(6, leased), deleted(7, other)])
    assert.match(history.violations.join("\n"), /other keys of the lease were deleted at revision 6/)
  })

  it("notices one revision for two writes", () => {
    const history = new History()
    history.write(2, { key: a, crc: 1, lease: 0n })
    history.write(2, { key: b, crc: 1, lease: 0n })
    assert.deepStrictEqual(history.violations, ["revision 2 was given to two writes"])
  })

  it("notices lists that differ", () => {
    const held = new Map([[a, second]])
    assert.isUndefined(listDifference(new Map([[a, { ...second }]]), held))
    assert.match(listDifference(new Map(), held)!, /is missing/)
    assert.match(listDifference(new Map([[a, first]]), held)!, /has revision 2 instead of 3/)
    assert.match(listDifference(new Map([[a, { ...second, crc: 1 }]]), held)!, /has crc/)
    assert.match(listDifference(held, new Map())!, /should not be there/)
  })
})
