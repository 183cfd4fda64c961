/** The size that the database may reach (`limits.quota_bytes`), asked before a write that adds to it. */
import { Context } from "effect"
import type { EtcdError } from "../core/wire/errors.ts"

export class Quota extends Context.Service<
  Quota,
  {
    /** Refused: the NOSPACE alarm is raised, and stays until it is disarmed. Counts what it admits. */
    readonly admit: (costBytes: number) => EtcdError | undefined
  }
>()("netsy/services/Quota") {}
