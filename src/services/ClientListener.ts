/** The open client port, for whoever needs to know where it is (the program's first line, tests with port 0). */
import { Context, Schema } from "effect"
import type { HostPort } from "./Settings.ts"

/** A port cannot be opened. */
export class ListenFailed extends Schema.TaggedError<ListenFailed>()("ListenFailed", {
  listener: Schema.String,
  address: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.listener} port ${this.address}: ${this.reason}`
  }
}

/** Where the client port of a daemon is open. */
export class ClientListener extends Context.Service<
  ClientListener,
  {
    /** As bound: the real port where the settings say 0. The first where there are several. */
    readonly address: HostPort
    readonly addresses: ReadonlyArray<HostPort>
  }
>()("netsy/services/ClientListener") {}
