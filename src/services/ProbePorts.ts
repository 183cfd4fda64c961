/** Ports of `netsy etcd` for health and metrics alone (`--listen-metrics-urls`). */
import { Context } from "effect"
import type { HttpApi } from "./HttpApi.ts"
import type { HostPort } from "./Settings.ts"

export class ProbePorts extends Context.Service<
  ProbePorts,
  {
    /** As bound: the real port where the settings say 0. */
    readonly addresses: ReadonlyArray<HostPort>
    /** Until then they say that the node lives and is not ready. */
    readonly serve: (handle: HttpApi["Service"]["handleProbes"]) => void
  }
>()("netsy/services/ProbePorts") {}
