/** What a Primary, or a node that leaves, tells the Elector. */
import { encodeHandOverRequest, encodeLeaveRequest } from "../../src/core/wire/peer/codecs.ts"
import { peerMethods } from "../../src/core/wire/peer/methods.ts"
import { PeerNetwork } from "../../src/services/PeerNetwork.ts"
import type { Node, World } from "./world.ts"

const tell = async (world: World, from: Node, method: string, request: Uint8Array): Promise<void> => {
  const to = world.leader!.id
  let outcome = ""
  from.get(PeerNetwork).call({ nodeId: to, address: `${to}.test:2381` }, method, request, 1_000, {
    succeed: () => {
      outcome = "ok"
    },
    fail: (error) => {
      outcome = error.message
    }
  })
  await world.until("an answer", () => outcome !== "")
  if (outcome !== "ok") throw new Error(outcome)
}

export const announceHandOver = (world: World, from: Node, to: string): Promise<void> =>
  tell(world, from, peerMethods.handOver, encodeHandOverRequest({ term: world.arbiter!.term, to }))

export const leaveForGood = (world: World, from: Node): Promise<void> =>
  tell(world, from, peerMethods.leave, encodeLeaveRequest({ name: from.name, forGood: true }))
