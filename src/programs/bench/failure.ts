/** Why a benchmark run has no figures. */
import { Data } from "effect"

export class BenchFailure extends Data.TaggedError("BenchFailure")<{ readonly message: string }> {}
