/** The HTTP listener for `/health`, `/livez`, `/readyz` and `/metrics`: where it listens, once it does. */
import { Context, Schema } from "effect"
import type { HostPort } from "./Settings.ts"

/** A port could not be opened. */
export class ListenFailed extends Schema.TaggedError<ListenFailed>()("ListenFailed", {
  /** Which of the node's ports, e.g. `health`. */
  listener: Schema.String,
  address: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `cannot listen on ${this.address} (${this.listener}): ${this.reason}`
  }
}

export class HealthServer extends Context.Service<HealthServer, {
  /** The real port where the settings say 0. */
  readonly address: HostPort
}>()("netsy/services/HealthServer") {}
