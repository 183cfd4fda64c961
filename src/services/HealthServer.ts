/** The HTTP listener for `/health`, `/livez`, `/readyz`, `/status` and `/metrics`: where it listens, once it does. */
import { Context } from "effect"
import type { HealthAnswer } from "../core/health/answers.ts"
import type { HostPort } from "./Settings.ts"

export class HealthServer extends Context.Service<
  HealthServer,
  {
    /** As bound: the real port where the settings say 0. */
    readonly address: HostPort
    /** From now on this answers for the path: for parts of the node that are built after the listener. */
    readonly handle: (path: string, answer: () => Promise<HealthAnswer>) => void
  }
>()("netsy/services/HealthServer") {}
