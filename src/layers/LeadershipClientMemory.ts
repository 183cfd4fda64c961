/** `LeadershipClient` for the nodes of one process, which ask each other without sockets. */
import { Effect, Layer } from "effect"
import { LeadershipClient, LeadershipUnreachable } from "../services/LeadershipClient.ts"
import { Settings } from "../services/Settings.ts"
import type { MemoryElections } from "./internal/memoryElections.ts"

export { MemoryElections } from "./internal/memoryElections.ts"

export const layer = (elections: MemoryElections): Layer.Layer<LeadershipClient, never, Settings> =>
  Layer.effect(
    LeadershipClient,
    Settings.use(({ nodeId }) =>
      Effect.succeed(
        LeadershipClient.of({
          ask: (address) =>
            Effect.suspend(() => {
              const port = elections.at(address)
              return port !== undefined && elections.reaches(nodeId, port.nodeId)
                ? Effect.succeed(port.current() ?? ("not leader" as const))
                : Effect.fail(new LeadershipUnreachable({ address, reason: "nobody answers" }))
            })
        })
      )
    )
  )
