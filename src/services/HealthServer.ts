/** The HTTP listener for `/health`, `/livez`, `/readyz` and `/metrics`: where it listens, once it does. */
import { Context } from "effect"
import type { HostPort } from "./Settings.ts"

export class HealthServer extends Context.Service<
  HealthServer,
  {
    /** As bound: the real port where the settings say 0. */
    readonly address: HostPort
  }
>()("netsy/services/HealthServer") {}
