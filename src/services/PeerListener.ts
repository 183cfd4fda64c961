/** The open peer port. */
import { Context } from "effect"
import type { HostPort } from "./Settings.ts"

export class PeerListener extends Context.Service<
  PeerListener,
  {
    /** As bound: the real port where the settings say 0. */
    readonly address: HostPort
  }
>()("netsy/services/PeerListener") {}
