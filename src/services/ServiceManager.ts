/** Who has started this program and wants to know how it is (systemd). Telling nobody is no error. */
import { Context, type Effect } from "effect"

export class ServiceManager extends Context.Service<
  ServiceManager,
  {
    /** The program does what it is for. */
    readonly ready: Effect.Effect<void>
    /** It has begun to end. */
    readonly stopping: Effect.Effect<void>
  }
>()("netsy/services/ServiceManager") {}
