/** What starting a node inside a program can fail with. */
import { Schema } from "effect"
import { formatProblem } from "../../core/config/problem.ts"

/** The options are wrong: every mistake is listed, with what is allowed. */
export class ConfigError extends Schema.TaggedError<ConfigError>()("NetsyConfigError", {
  problems: Schema.Array(
    Schema.Struct({
      /** `elector.degradationCount`, say, or the variable or the place in the file that it comes from. */
      key: Schema.String,
      /** Undefined: nothing was given. */
      value: Schema.UndefinedOr(Schema.String),
      allowed: Schema.String,
      source: Schema.optionalKey(Schema.String)
    })
  )
}) {
  override get message() {
    const count = this.problems.length
    const lines = this.problems.map((problem) => `\n  - ${formatProblem(problem)}`).join("")
    return `${count} ${count === 1 ? "problem" : "problems"} in the options of Netsy:${lines}`
  }
}

/** The node cannot start: the storage refuses, the disk fails, a port is taken. */
export class StartFailed extends Schema.TaggedError<StartFailed>()("NetsyStartFailed", {
  /** The error below: `Denied`, `Unavailable`, `LocalStoreFailed`, `ListenFailed`, … */
  cause: Schema.Defect()
}) {
  override get message() {
    const { cause } = this
    return `Netsy does not start: ${cause instanceof Error ? cause.message : String(cause)}`
  }
}
