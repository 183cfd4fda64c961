/** The network in memory: what every peer network does, and the faults that only it has. */
import { describe, it } from "@effect/vitest"
import { cases } from "./conformance.ts"
import { virtualWorld } from "./world.ts"

describe("PeerNetworkMemory", () => {
  for (const [name, run] of Object.entries(cases)) it.effect(name, () => run(virtualWorld()))
})
