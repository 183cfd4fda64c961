import { assert, describe, it } from "@effect/vitest"
import { isNewer, primaryOf, pushProblem, unknownState } from "../../src/core/cluster/view.ts"
import type { ClusterState } from "../../src/core/wire/peer/messages.ts"
import { seeded } from "../datafile/support.ts"
import { arbiterOf, infoOf, nameOf, stateOf, threeNodes } from "./states.ts"

const shuffled = <A>(random: (below: number) => number, list: ReadonlyArray<A>): Array<A> => {
  const out = [...list]
  for (let i = out.length - 1; i > 0; i--) {
    const j = random(i + 1)
    const swap = out[i]!
    out[i] = out[j]!
    out[j] = swap
  }
  return out
}

/** What one Elector says as time goes on: the arbiter only moves on, its serial grows. */
const history = (random: (below: number) => number): ReadonlyArray<ClusterState> => {
  const states: Array<ClusterState> = []
  let arbiter = random(2) === 0 ? undefined : arbiterOf({ counter: random(5) })
  for (let serial = 1; serial <= 12; serial++) {
    const what = random(3)
    if (what === 0) arbiter = arbiterOf({ term: (arbiter?.term ?? 0) + 1, counter: (arbiter?.counter ?? 0) + 1 })
    if (what === 1 && arbiter !== undefined) arbiter = { ...arbiter, counter: arbiter.counter + 1 }
    states.push(stateOf({ serial, arbiter }))
  }
  return states
}

describe("the newer of two cluster states", () => {
  it("is the last that one Elector said, in whatever order and however often they arrive", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = seeded(seed)
      const said = history(random)
      let known = unknownState
      for (const state of shuffled(random, [...said, ...said])) if (isNewer(state, known)) known = state
      assert.strictEqual(known, said.at(-1), `seed ${seed}`)
    }
  })

  it("never goes back to a lower term or, within a term, to a lower counter, whoever speaks", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = seeded(seed)
      let known = unknownState
      for (let i = 0; i < 40; i++) {
        const offered = stateOf({
          elector: "abc"[random(3)]!,
          serial: random(6),
          arbiter: random(8) === 0 ? undefined : arbiterOf({ term: 1 + random(4), counter: random(4) })
        })
        if (!isNewer(offered, known)) continue
        const order = ({ arbiter }: ClusterState): number => (arbiter?.term ?? 0) * 100 + (arbiter?.counter ?? 0)
        assert.isAtLeast(order(offered), order(known), `seed ${seed}`)
        known = offered
      }
    }
  })

  it("of two with the same arbiter is another Elector's, or the higher serial of the same one", () => {
    const known = stateOf({ serial: 5 })
    assert.isFalse(isNewer(stateOf({ serial: 5 }), known))
    assert.isFalse(isNewer(stateOf({ serial: 4 }), known))
    assert.isTrue(isNewer(stateOf({ serial: 6 }), known))
    assert.isTrue(isNewer(stateOf({ elector: "b", serial: 1 }), known))
  })
})

describe("the Primary of a cluster state", () => {
  it("is the node that the arbiter names, under that incarnation and unless it has resigned", () => {
    assert.strictEqual(primaryOf(stateOf()), threeNodes[0])
    assert.isUndefined(primaryOf(stateOf({ arbiter: undefined })))
    assert.isUndefined(primaryOf(stateOf({ arbiter: arbiterOf({ resigned: true }) })))
    const reborn = { ...infoOf("a", 1n), name: { nodeId: "a", incarnation: "another disk" } }
    assert.isUndefined(primaryOf(stateOf({ nodes: [reborn] })))
    assert.strictEqual(primaryOf(stateOf({ arbiter: arbiterOf({ primary: nameOf("c") }) })), threeNodes[2])
  })
})

describe("a pushed cluster state", () => {
  it("comes from the Elector that it names, which belongs to the cluster it describes", () => {
    assert.isUndefined(pushProblem(stateOf(), "a"))
    assert.include(pushProblem(stateOf(), "b"), "sent by")
    assert.include(pushProblem(stateOf({ nodes: [infoOf("b", 2n)] }), "a"), "not a registered node")
  })
})
