/** `LeadershipClient` for a node without sockets: nobody can be asked, the bucket alone says who holds the lock. */
import { Effect, Layer } from "effect"
import { LeadershipClient, LeadershipUnreachable } from "../../src/services/LeadershipClient.ts"

export const layer: Layer.Layer<LeadershipClient> = Layer.succeed(
  LeadershipClient,
  LeadershipClient.of({
    ask: (address) => Effect.fail(new LeadershipUnreachable({ address, reason: "this node has no network" }))
  })
)
