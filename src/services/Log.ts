/**
 * The structured log, synchronous, so that the hot path can use it too. `Effect.log…` goes to the same place.
 * Event names are those of netsy-1x.md 14.3; docs/operations.md lists them.
 */
import { Context } from "effect"

export type LogLevelName = "DEBUG" | "INFO" | "WARN" | "ERROR"

/** Attributes of a line, in this order. Undefined ones are left out. */
export type LogFields = Readonly<Record<string, unknown>>

export class Log extends Context.Service<
  Log,
  {
    /** False: `debug` does nothing. Ask before building costly fields. */
    readonly debugging: boolean
    readonly debug: (event: string, fields?: LogFields) => void
    readonly info: (event: string, fields?: LogFields) => void
    readonly warn: (event: string, fields?: LogFields) => void
    readonly error: (event: string, fields?: LogFields) => void
  }
>()("netsy/services/Log") {}
