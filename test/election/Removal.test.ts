/** What the Elector does when one node declares another one dead. */
import { assert, describe, it } from "@effect/vitest"
import { encodeLeaveRequest } from "../../src/core/wire/peer/cluster.ts"
import { peerMethods } from "../../src/core/wire/peer/methods.ts"
import { ClusterView } from "../../src/services/ClusterView.ts"
import { PeerNetwork } from "../../src/services/PeerNetwork.ts"
import { type Node, World } from "./world.ts"

const remove = async (world: World, from: Node, target: Node, forGood: boolean): Promise<string> => {
  const to = world.leader!.id
  let outcome = ""
  const request = encodeLeaveRequest({ name: target.name, forGood })
  from.get(PeerNetwork).call({ nodeId: to, address: `${to}.test:2381` }, peerMethods.leave, request, 1_000, {
    succeed: () => {
      outcome = "ok"
    },
    fail: (error) => {
      outcome = error.message
    }
  })
  await world.until("an answer", () => outcome !== "")
  return outcome
}

describe("a node that another one declares dead", () => {
  it("stays while it is heard of, and is forgotten for good once it is silent", async () => {
    const world = new World({}, false)
    try {
      const [elector, b, c] = await world.three()
      assert.match(await remove(world, b, c, true), /node c was heard of a moment ago/)
      assert.match(await remove(world, b, c, false), /node b may not speak for c/)
      assert.isDefined(elector.get(ClusterView).node("c"))
      c.kill()
      await world.until("c is missed", () => elector.events("node_degraded").length > 0)
      assert.match(await remove(world, b, c, false), /node b may not speak for c/)
      assert.strictEqual(await remove(world, b, c, true), "ok")
      await world.until("c is forgotten", () => b.get(ClusterView).node("c") === undefined)
      assert.isUndefined(world.bucket.get("nodes/c.json"))
      assert.isDefined(world.bucket.get("nodes/b.json"))
    } finally {
      world.end()
    }
  })
})
