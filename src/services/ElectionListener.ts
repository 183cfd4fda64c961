/** The open election port. */
import { Context } from "effect"
import type { HostPort } from "./Settings.ts"

export class ElectionListener extends Context.Service<
  ElectionListener,
  {
    /** As bound: the real port where the settings say 0. */
    readonly address: HostPort
  }
>()("netsy/services/ElectionListener") {}
