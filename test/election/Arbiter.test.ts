import { assert, describe, it } from "@effect/vitest"
import {
  type Arbiter,
  asModeStore,
  decodeArbiter,
  defaultStoreLeaseMillis,
  encodeArbiter,
  judgeUnknownCas,
  nextTerm,
  storeElection
} from "../../src/core/election/arbiter.ts"

const arbiter: Arbiter = {
  term: 7,
  primary: { nodeId: "node-1", incarnation: "aa" },
  mode: "store",
  voters: [],
  required: 0,
  leaseMillis: 6000,
  timeoutMillis: undefined,
  counter: 12,
  resigned: false,
  allStored: false,
  recovered: undefined
}

describe("the arbiter object", () => {
  it("comes back from its bytes as it was", () => {
    const full: Arbiter = {
      ...arbiter,
      mode: "quorum",
      voters: [{ nodeId: "a", incarnation: "1" }],
      required: 1,
      timeoutMillis: 180000,
      resigned: true,
      allStored: true,
      recovered: { term: 5, index: 99 }
    }
    assert.deepStrictEqual(decodeArbiter(encodeArbiter(arbiter)), arbiter)
    assert.deepStrictEqual(decodeArbiter(encodeArbiter(full)), full)
  })

  it("says in a sentence what is wrong with damaged bytes", () => {
    const text = new TextDecoder().decode(encodeArbiter(arbiter))
    for (const [damage, words] of [
      ["", "not JSON"],
      ["[]", "primary"],
      [text.replace('"term":7', '"term":0'), "term"],
      [text.replace("store", "both"), "mode"],
      [text.replace("6000", "-1"), "lease_ms"],
      [text.replace('"resigned":false', '"resigned":1'), "resigned"],
      [text.replace('"resigned":false', '"resigned":true,"all_stored":1'), "all_stored"]
    ] as const) {
      const problem = decodeArbiter(new TextEncoder().encode(damage))
      assert.ok(typeof problem === "string" && problem.includes(words), `${damage} → ${JSON.stringify(problem)}`)
    }
  })

  it("gives the first term the number after the highest header, in mode store", () => {
    const first = nextTerm(undefined, arbiter.primary, { highestTerm: 4, leaseMillis: 1000 })
    assert.strictEqual(first.term, 5)
    assert.strictEqual(first.mode, "store")
    assert.strictEqual(first.leaseMillis, 1000)
  })

  it("in mode quorum is as after a change to mode store while everything is stored", () => {
    const voters = [arbiter.primary, { nodeId: "b", incarnation: "2" }]
    const quorum: Arbiter = { ...arbiter, mode: "quorum", voters, required: 1 }
    assert.deepStrictEqual(asModeStore({ ...quorum, resigned: true, allStored: true }), {
      ...arbiter,
      resigned: true,
      allStored: true
    })
    assert.isUndefined(asModeStore({ ...quorum, resigned: true }))
    // The next term has begun, and its Primary has written nothing yet.
    assert.deepStrictEqual(asModeStore({ ...quorum, allStored: true }), { ...arbiter, allStored: true })
    assert.isUndefined(asModeStore({ ...arbiter, resigned: true, allStored: true }), "it is in mode store already")
  })

  it("changes only term, primary, counter and resigned for the next term", () => {
    const next = nextTerm(
      { ...arbiter, resigned: true, allStored: true },
      { nodeId: "b", incarnation: "2" },
      { highestTerm: 0, leaseMillis: 1 }
    )
    const changed = { term: 8, counter: 13, primary: { nodeId: "b", incarnation: "2" } }
    assert.deepStrictEqual(next, { ...arbiter, ...changed, allStored: true })
  })

  it("waits 1.11 leases from when this process first saw the ETag, unless there is a reason not to", () => {
    assert.deepStrictEqual(storeElection(arbiter, 1000, 1000 + 6659, false), { kind: "wait", untilMillis: 7660 })
    assert.strictEqual(storeElection(arbiter, 1000, 1000 + 6660, false).kind, "go")
    assert.strictEqual(storeElection(arbiter, 1000, 1000, true).kind, "go")
    assert.strictEqual(storeElection({ ...arbiter, resigned: true }, 1000, 1000, false).kind, "go")
    assert.strictEqual(storeElection(undefined, 0, 0, false).kind, "go")
  })

  it("judges an unknown CAS by term, resignation and its own latest counter only", () => {
    assert.strictEqual(judgeUnknownCas({ ...arbiter, term: 8 }, { term: 7, counter: 12 }), "deposed")
    assert.strictEqual(judgeUnknownCas({ ...arbiter, resigned: true }, { term: 7, counter: 12 }), "deposed")
    assert.strictEqual(judgeUnknownCas(arbiter, { term: 7, counter: 12 }), "landed")
    assert.strictEqual(judgeUnknownCas(arbiter, { term: 7, counter: 13 }), "may still land")
  })

  it("has the default leases of design 6.3", () => {
    assert.deepStrictEqual(
      [
        ["s3", false],
        ["gcs", false],
        ["directory", true],
        ["s3", true],
        ["gcs", true]
      ].map(([p, alone]) => defaultStoreLeaseMillis(p as string, alone as boolean)),
      [6000, 12000, 3000, 30000, 30000]
    )
  })
})
