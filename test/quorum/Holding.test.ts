import { assert, describe, it } from "@effect/vitest"
import type { Arbiter } from "../../src/core/election/arbiter.ts"
import { driftMaxMillis, Holding, holdsMillis, renewEveryMillis } from "../../src/core/quorum/holding.ts"
import { dice, name } from "./dice.ts"

const store: Arbiter = {
  term: 3,
  primary: name("a"),
  mode: "store",
  voters: [],
  required: 0,
  leaseMillis: 6_000,
  timeoutMillis: 180_000,
  counter: 1,
  resigned: false,
  allStored: false,
  recovered: undefined
}
const quorum: Arbiter = { ...store, mode: "quorum", voters: [name("a"), name("b")], required: 1 }
const at = (millis: number, wallShift = 0) => ({
  monotonicMillis: millis,
  wallMillis: 1_750_000_000_000 + millis + wallShift
})
const renew = (holding: Holding, next: Arbiter, millis: number) => {
  holding.sending(next, at(millis))
  holding.landed(next, at(millis), false)
}

describe("how long a renewal that landed holds", () => {
  it("is the lease in mode store, 0.8 of the timeout in mode quorum, for ever without one", () => {
    assert.strictEqual(holdsMillis(store), 6_000)
    assert.strictEqual(holdsMillis(quorum), 144_000)
    assert.strictEqual(holdsMillis({ ...quorum, timeoutMillis: undefined }), Number.POSITIVE_INFINITY)
  })

  it("is longer than until the next one is due", () => {
    assert.strictEqual(renewEveryMillis(store), 2_000)
    assert.strictEqual(renewEveryMillis(quorum), 36_000)
    assert.strictEqual(renewEveryMillis({ ...quorum, timeoutMillis: 3_600_000 }), 60_000)
    assert.strictEqual(renewEveryMillis({ ...quorum, timeoutMillis: undefined }), 60_000)
  })

  it("is shortened by the sending of a shorter lease, known to have landed or not", () => {
    const holding = new Holding(store)
    renew(holding, store, 0)
    holding.sending({ ...store, leaseMillis: 1_000 }, at(2_000))
    assert.isTrue(holding.mayAcknowledge(at(2_999)))
    assert.isFalse(holding.mayAcknowledge(at(3_000)))
    holding.sending(store, at(2_500))
    assert.isFalse(holding.mayAcknowledge(at(3_000)))
    holding.landed(store, at(2_500), false)
    assert.isTrue(holding.mayAcknowledge(at(8_499)))
    assert.isFalse(holding.mayAcknowledge(at(8_500)))
  })

  it("is shortened by the sending of a shorter timeout in mode quorum", () => {
    const holding = new Holding(quorum)
    renew(holding, { ...quorum, timeoutMillis: undefined }, 0)
    assert.isTrue(holding.mayAcknowledge(at(1e9)))
    holding.sending({ ...quorum, timeoutMillis: 10_000 }, at(1_000))
    assert.isTrue(holding.mayAcknowledge(at(8_999)))
    assert.isFalse(holding.mayAcknowledge(at(9_000)))
  })

  it("ends when the clocks have moved apart", () => {
    const holding = new Holding(store)
    renew(holding, store, 0)
    assert.isTrue(holding.mayAcknowledge(at(100, 300)))
    assert.isTrue(holding.mayAcknowledge(at(100, -300)))
    assert.isFalse(holding.mayAcknowledge(at(100, 301)))
    assert.isFalse(holding.mayAcknowledge(at(100, -301)))
    assert.strictEqual(driftMaxMillis({ ...store, leaseMillis: 30_000 }), 1_000)
    assert.strictEqual(driftMaxMillis({ ...store, leaseMillis: 300 }), 50)
    assert.strictEqual(driftMaxMillis(quorum), 18_000)
  })
})

describe("a change", () => {
  it("holds everything until it has landed itself; a renewal that lands meanwhile does not close it", () => {
    const holding = new Holding(store)
    renew(holding, store, 0)
    holding.open()
    assert.isFalse(holding.mayAcknowledge(at(1)))
    renew(holding, store, 1_000)
    assert.isFalse(holding.mayAcknowledge(at(1_001)))
    holding.sending(quorum, at(2_000))
    assert.isFalse(holding.mayAcknowledge(at(2_001)))
    holding.landed(quorum, at(2_000), true)
    assert.isTrue(holding.mayAcknowledge(at(2_000 + 143_999)))
    assert.isFalse(holding.mayAcknowledge(at(2_000 + 144_000)))
  })
})

describe("whatever is sent and lands", () => {
  it("nothing is held longer than by any version that may stand in the bucket", () => {
    for (let seed = 1; seed <= 500; seed++) {
      const roll = dice(seed)
      const holding = new Holding(store)
      /** What was sent since the last one that is known to have landed, and that one: each may be the newest. */
      let possible: Array<{ readonly next: Arbiter; readonly sent: number }> = []
      let now = 0
      let ended = false
      for (let step = 0; step < 60; step++) {
        now += roll(4_000)
        const next: Arbiter = {
          ...(roll(2) === 0 ? store : quorum),
          leaseMillis: 1_000 + roll(9_000),
          timeoutMillis: roll(4) === 0 ? undefined : 5_000 + roll(30_000)
        }
        holding.sending(next, at(now))
        const sent = now
        now += roll(2_000)
        if (roll(2) === 0) {
          holding.landed(next, at(sent), true)
          possible = [{ next, sent }]
        } else if (possible.length > 0) possible.push({ next, sent })
        if (roll(200) === 0) {
          holding.end()
          ended = true
        }
        const until = Math.min(...possible.map((p) => p.sent + holdsMillis(p.next)))
        const expected = !ended && possible.length > 0 && now < until
        assert.strictEqual(holding.mayAcknowledge(at(now)), expected, `seed ${seed} step ${step}`)
      }
    }
  })
})
