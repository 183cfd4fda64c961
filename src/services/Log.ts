/**
 * The structured log, synchronous, so that the hot path can use it too. `Effect.log…` goes to the same place.
 * Event names are those of netsy-1x.md 14.3; docs/observability.md lists them.
 */
import { Context } from "effect"

export type LogLevelName = "DEBUG" | "INFO" | "WARN" | "ERROR"

/** Attributes of a line, in this order. Undefined ones are left out. */
export type LogFields = Readonly<Record<string, unknown>>

/** Where the node's own log lines go. */
export class Log extends Context.Service<
  Log,
  {
    /** False: `debug` does nothing. Ask before building costly fields. */
    readonly debugging: boolean
    /** For whoever looks for a fault. */
    readonly debug: (event: string, fields?: LogFields) => void
    /** What happened, as planned. */
    readonly info: (event: string, fields?: LogFields) => void
    /** What somebody should look at, some time. */
    readonly warn: (event: string, fields?: LogFields) => void
    /** What somebody should look at now. */
    readonly error: (event: string, fields?: LogFields) => void
  }
>()("netsy/services/Log") {}
