/** The memory layer: the common suite, and what only its disk can do. */
import { Effect } from "effect"
import * as LocalStoreMemory from "../../src/layers/LocalStoreMemory.ts"
import { conformance } from "./conformance.ts"

conformance(
  "LocalStoreMemory",
  Effect.sync(() => LocalStoreMemory.layer({ disk: new LocalStoreMemory.MemoryDisk() })),
  { runs: 150, seeds: 20, steps: 120 }
)
