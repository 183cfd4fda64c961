/** Exceptions to the rules of rules.ts, each with its reason. A test fails when one is no longer needed. */
import type { Allowed } from "./rules.ts"

export const allowed: ReadonlyArray<Allowed> = [
  {
    path: "src/layers/SupervisorFatal.ts",
    rule: "fork",
    reason: "the one place that forks: every other task goes through it"
  },
  {
    path: "src/layers/ObjectStoreFaulty.ts",
    rule: "fork",
    reason: "a write that lands late is the fault itself; it ends with the layer and its failure is nobody's"
  },
  {
    path: "src/core/config/settingTable.ts",
    rule: "size",
    reason: "one table, a row for each setting; what its columns mean is settingKinds.ts"
  }
]
