/** `Identity` without TLS, for `--insecure`: there are no contexts and nobody can be identified. */
import { Effect, Layer } from "effect"
import { InvariantViolation } from "../core/assert.ts"
import { Identity } from "../services/Identity.ts"

const none = (): never => {
  throw new InvariantViolation("TLS was asked for on a node that runs without")
}

export const layer: Layer.Layer<Identity> = Layer.succeed(
  Identity,
  Identity.of({
    secure: false,
    serverContext: none,
    serverOptions: none,
    clientOptions: none,
    asksCertificate: none,
    check: () => ({ ok: false, reason: "this node runs without TLS" }),
    verify: Effect.void
  })
)
