/** A call to a peer as an effect; giving it up gives the call up. */
import { Effect } from "effect"
import type { PeerAddress, PeerError, PeerNetwork } from "../../services/PeerNetwork.ts"

export const callPeer = (
  network: PeerNetwork["Service"],
  to: PeerAddress,
  method: string,
  request: Uint8Array,
  timeoutMillis: number
): Effect.Effect<Uint8Array, PeerError> =>
  Effect.callback((resume) => {
    const giveUp = network.call(to, method, request, timeoutMillis, {
      succeed: (response) => resume(Effect.succeed(response)),
      fail: (error) => resume(Effect.fail(error))
    })
    return Effect.sync(giveUp)
  })
