/** The network over sockets, in plain text and with TLS. */
import { describe, it } from "@effect/vitest"
import * as IdentityPlain from "../../src/layers/IdentityPlain.ts"
import { cases } from "./conformance.ts"
import { socketWorld } from "./world.ts"

describe("PeerNetworkGrpc in plain text", () => {
  for (const [name, run] of Object.entries(cases)) {
    it.live(name, () => run(socketWorld("plain text", () => IdentityPlain.layer)))
  }
})
