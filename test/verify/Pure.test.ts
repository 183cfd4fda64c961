/** The pure parts of `netsy verify`. */
import { assert, describe, it } from "@effect/vitest"
import { exitCode, type Finding, findingsJson, findingsTable } from "../../src/core/verify/findings.ts"
import { HistoryCheck } from "../../src/core/verify/HistoryCheck.ts"
import { LastVersions } from "../../src/core/verify/LastVersions.ts"
import { Contents } from "../../src/core/verify/Replay.ts"
import { leftOverFinding, type Registry, registryFindings } from "../../src/core/verify/registry.ts"
import { changeDigest, type KeyChange, Revisions } from "../../src/core/verify/Revisions.ts"
import type { Arbiter } from "../../src/core/election/arbiter.ts"
import { remaining } from "../../src/programs/verify/progress.ts"
import { entry, opRecord, record, seeded, utf8 } from "../datafile/support.ts"

const put = (key: string, value: string, more: Partial<KeyChange> = {}): KeyChange => ({
  key: utf8(key),
  deleted: false,
  value: utf8(value),
  createRevision: 2,
  version: 1,
  lease: 0n,
  ...more
})

describe("the digest of a change", () => {
  it("differs where key, value, creation, version or lease differ, and of a delete only the key counts", () => {
    const all = [
      put("a", "1"),
      put("a1", ""),
      put("", "a1"),
      put("a", "2"),
      put("a", "1", { createRevision: 3 }),
      put("a", "1", { version: 2 }),
      put("a", "1", { lease: 7n }),
      put("a", "1", { deleted: true })
    ].map(changeDigest)
    assert.strictEqual(new Set(all).size, all.length)
    assert.strictEqual(
      changeDigest(put("a", "1", { deleted: true })),
      changeDigest(put("a", "", { deleted: true, createRevision: 0, version: 0 }))
    )
  })
})

describe("two tellings of a history", () => {
  const telling = (...changes: ReadonlyArray<readonly [number, string, string]>): Revisions => {
    const revisions = new Revisions()
    for (const [revision, key, value] of changes) revisions.add(revision, put(key, value))
    return revisions
  }

  it("are equal whatever the order inside a revision, and differ from the first other revision on", () => {
    const one = telling([2, "a", "1"], [3, "b", "1"], [3, "c", "1"], [4, "a", "2"])
    assert.isUndefined(one.difference(telling([2, "a", "1"], [3, "c", "1"], [3, "b", "1"], [4, "a", "2"]), 2, 4))
    assert.strictEqual(one.difference(telling([2, "a", "1"], [3, "b", "1"], [4, "a", "2"]), 2, 4), 3)
    assert.strictEqual(one.difference(telling([2, "a", "1"]), 2, 4), 3)
    assert.isUndefined(one.hole(2, 4))
    assert.strictEqual(telling([2, "a", "1"], [4, "a", "2"]).hole(2, 4), 3)
    assert.deepStrictEqual([one.first, one.last, one.size], [2, 4, 3])
  })

  it("are compared across the pages in which they are kept", () => {
    const far = telling([65_535, "a", "1"], [65_536, "a", "2"], [200_000, "b", "1"])
    assert.isUndefined(far.hole(65_535, 65_536))
    assert.strictEqual(far.hole(65_535, 65_537), 65_537)
    assert.strictEqual(far.difference(telling([65_535, "a", "1"], [65_536, "a", "x"]), 65_535, 65_536), 65_536)
  })
})

describe("the current versions of keys", () => {
  it("are those of a plain map, whatever the keys and however many", () => {
    const random = seeded(7)
    const versions = new LastVersions()
    const model = new Map<string, { revision: number; sub: number; deleted: boolean }>()
    const passed: Array<{ key: string; revision: number; sub: number; deleted: boolean }> = []
    for (let revision = 2; revision < 6000; revision++) {
      const key = random(4) === 0 ? `k${random(40)}` : `key/${random(1 << 20)}`
      const one = { revision, sub: random(3), deleted: random(3) === 0 }
      versions.note({ ...one, key: utf8(key) })
      model.set(key, one)
      passed.push({ ...one, key })
    }
    assert.strictEqual(versions.live, [...model.values()].filter(({ deleted }) => !deleted).length)
    for (const { deleted, key, revision, sub } of passed) {
      const last = model.get(key)!
      const expected = !deleted && last.revision === revision && last.sub === sub
      assert.strictEqual(versions.isCurrent({ key: utf8(key), revision, sub, deleted }), expected, key)
    }
  })
})

describe("the contents of a store", () => {
  it("are equal in any order of the keys, and differ with any key, value or revision", () => {
    const random = seeded(3)
    const digest = (changes: ReadonlyArray<KeyChange & { readonly modRevision: number }>): string => {
      const contents = new Contents()
      for (const change of changes) contents.add(change)
      assert.strictEqual(contents.keys, changes.length)
      return contents.digest
    }
    for (let round = 0; round < 50; round++) {
      const all = Array.from({ length: 1 + random(60) }, (_, i) => ({
        ...put(`k${i}`, `v${random(1000)}`),
        modRevision: 2 + random(1 << 30)
      }))
      const shuffled = all.map((one) => ({ one, at: random(1 << 30) })).sort((a, b) => a.at - b.at)
      const whole = digest(all)
      assert.strictEqual(digest(shuffled.map(({ one }) => one)), whole)
      const [first, ...rest] = all
      assert.notStrictEqual(digest([{ ...first!, modRevision: first!.modRevision + 1 }, ...rest]), whole)
      assert.notStrictEqual(digest([{ ...first!, value: utf8("other") }, ...rest]), whole)
    }
  })
})

describe("the walk along a history", () => {
  const compaction = (index: number, to: number, revision: number, term = 1) =>
    entry(opRecord({ kind: "compaction", revision: to, physical: false }, { index, revision, term }))
  const first = entry(record({ revision: 1, key: utf8("_netsy") }))
  const walked = (...entries: ReadonlyArray<ReturnType<typeof entry>>): string | undefined => {
    const check = new HistoryCheck(undefined)
    for (const one of entries) check.entry(one)
    return check.problem
  }

  it("is content with dense revisions and a floor that rises", () => {
    const check = new HistoryCheck(undefined)
    for (const one of [
      first,
      entry(record({ revision: 2 })),
      compaction(3, 2, 2),
      entry(record({ index: 4, revision: 3 }))
    ])
      check.entry(one)
    assert.isUndefined(check.problem)
    assert.deepStrictEqual([check.index, check.revision, check.floor], [4, 3, 2])
    assert.deepStrictEqual([check.revisions.first, check.revisions.last], [2, 3])
  })

  it("names the index of a gap, of a revision that is left out, of a lower term and of a floor that falls or is too high", () => {
    const two = entry(record({ revision: 2, term: 2 }))
    assert.match(walked(first, entry(record({ index: 3, revision: 2 })))!, /index 3 follows 1/)
    assert.match(walked(first, entry(record({ index: 2, revision: 3 })))!, /revision 3 at index 2 comes where 2 should/)
    assert.match(walked(first, two, entry(record({ revision: 3, term: 1 })))!, /term 1 at index 3 follows term 2/)
    assert.match(walked(first, two, compaction(3, 2, 2, 2), compaction(4, 1, 2, 2))!, /from 2 to 1 at index 4/)
    assert.match(walked(first, compaction(2, 9, 1))!, /to 9 at index 2, above the revision 1/)
  })

  it("begins with a snapshot, which must tell everything above its floor", () => {
    const start = { key: "snapshots/x", lastIndex: 9, lastTerm: 1, revision: 6, floor: 4 }
    const snapshot = (...revisions: ReadonlyArray<number>): string | undefined => {
      const check = new HistoryCheck(start)
      for (const revision of revisions) check.snapshotRecord(record({ revision }))
      check.snapshotEnd(true)
      return check.problem
    }
    assert.isUndefined(snapshot(2, 5, 6))
    assert.match(snapshot(2, 6)!, /snapshots\/x: nothing at revision 5/)
    assert.match(snapshot(5, 6, 7)!, /revision 7 is above/)
  })
})

describe("the small objects of a bucket", () => {
  const node = (nodeId: string) => ({ nodeId, incarnation: `${nodeId}-incarnation` })
  const arbiter: Arbiter = {
    term: 4,
    primary: node("n1"),
    mode: "quorum",
    voters: ["n1", "n2", "n3"].map(node),
    required: 1,
    leaseMillis: 6000,
    timeoutMillis: undefined,
    counter: 9,
    resigned: false,
    allStored: false,
    recovered: undefined
  }
  const registration = (nodeId: string) => ({
    ...{ nodeId, clientAddress: "", peerAddress: "", incarnation: "", starts: 1, run: "" }
  })
  const sound: Registry = {
    arbiter,
    members: {
      clusterId: "c",
      members: new Map([
        ["n1", 1n],
        ["n2", 2n]
      ])
    },
    lock: { leaderId: "n2", leaderAddr: "", lastUpdatedMillis: 1 },
    nodes: new Map([["nodes/n1.json", registration("n1")]])
  }
  const wrong = (over: Partial<Registry>): string =>
    registryFindings({ ...sound, ...over }, true)
      .filter(({ verdict }) => verdict === "bad")
      .map(({ detail }) => detail)
      .join("; ")

  it("fit together in a sound bucket", () => assert.strictEqual(wrong({}), ""))

  it("are named by their key where they do not", () => {
    const cases: ReadonlyArray<readonly [Partial<Registry>, RegExp]> = [
      [{ arbiter: undefined }, /leader\/primary\.json: missing/],
      [{ arbiter: "not JSON" }, /leader\/primary\.json: not JSON/],
      [{ arbiter: { ...arbiter, voters: [node("n2")] } }, /the Primary n1.* is not one of the voters/],
      [{ arbiter: { ...arbiter, required: 3 } }, /3 other voters are required and there are 2/],
      [{ arbiter: { ...arbiter, required: 0 } }, /no recovery is noted/],
      [{ arbiter: { ...arbiter, mode: "store" } }, /mode store, but there are voters/],
      [{ members: undefined }, /members\.json: missing/],
      [
        {
          members: {
            clusterId: "c",
            members: new Map([
              ["n1", 1n],
              ["n2", 1n]
            ])
          }
        },
        /member id 1 is given to n1 and to n2/
      ],
      [{ nodes: new Map([["nodes/n9.json", registration("n9")]]) }, /n9 is registered and has no member id/],
      [{ nodes: new Map([["nodes/n2.json", registration("n1")]]) }, /nodes\/n2\.json: says that it is of n1/],
      [{ lock: "not JSON" }, /leader\/elector\.json: not JSON/]
    ]
    for (const [over, words] of cases) assert.match(wrong(over), words)
  })
})

describe("findings", () => {
  const good: Finding = { subject: "bucket", check: "is whole", verdict: "ok", detail: "3 chunks" }
  const bad: Finding = { ...good, verdict: "bad", detail: "broken" }
  const unseen: Finding = { ...good, verdict: "unknown", detail: "no answer" }

  it("are a table that marks what is bad and what could not be looked at", () => {
    const text = findingsTable([good, bad, unseen])
    assert.match(text, /^ok +bucket +is whole +3 chunks$/m)
    assert.match(text, /^BAD +bucket +is whole +broken$/m)
    assert.match(text, /^\? +bucket +is whole +no answer$/m)
    assert.match(text, /3 checks, 1 BAD, 1 could not be looked at$/)
    assert.match(findingsTable([good]), /1 checks, nothing wrong$/)
  })

  it("decide the exit code: what is wrong before what could not be looked at", () => {
    assert.deepStrictEqual([[good], [good, unseen], [good, unseen, bad]].map(exitCode), [0, 2, 1])
  })

  it("are one line of JSON with the objects that are left over", () => {
    const json: unknown = JSON.parse(findingsJson([good, bad], [{ key: "chunks/x", reason: "behind the snapshot" }]))
    assert.deepInclude(json as object, { verdict: "bad", checks: 2, bad: 1, unknown: 0 })
    assert.deepInclude(json as object, { left_over: [{ key: "chunks/x", reason: "behind the snapshot" }] })
  })

  it("count what is left over by reason", () => {
    const { detail } = leftOverFinding([
      { key: "chunks/a", reason: "behind the snapshot" },
      { key: "chunks/b", reason: "behind the snapshot" },
      { key: "chunks/c", reason: "of a lost reign, term 3" }
    ])
    assert.strictEqual(detail, "2 behind the snapshot (chunks/a, …); 1 of a lost reign, term 3 (chunks/c)")
  })
})

describe("the time that is left", () => {
  it("follows from the pace so far", () => {
    assert.strictEqual(remaining(2 ** 30, 4 * 2 ** 30, 60), "1.0 GiB of 4.0 GiB read (25 %), about 3 min more")
    assert.strictEqual(remaining(0, 2048, 1), "0 bytes of 2.0 KiB read (0 %)")
  })
})
