/** `Forwarding` of a node that has no others beside it: everything is run here. */
import { Effect, Layer } from "effect"
import { Forwarding } from "../../src/services/Forwarding.ts"
import { Leases } from "../../src/services/Leases.ts"

export const layer: Layer.Layer<Forwarding, never, Leases> = Layer.effect(
  Forwarding,
  Leases.use((leases) =>
    Effect.succeed(
      Forwarding.of({
        run: ({ here, reply }) => here(reply.fail),
        serve: () => {},
        keepAlives: (sink) => leases.keepAlives(sink)
      })
    )
  )
)
