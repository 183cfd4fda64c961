/** Watches as streams of events. */
import { Effect, type Pull, Stream } from "effect"
import { Entry, entryOf } from "../../core/client/Entry.ts"
import { type Keys, spanOf } from "../../core/client/keys.ts"
import { Code, type EtcdError, errors, etcdError } from "../../core/wire/errors.ts"
import { EventType, WatchFilter, type WatchRequest, type WatchResponse } from "../../core/wire/messages.ts"
import { clientError, type ClientError } from "../../services/ClientError.ts"
import type { ChangeEvent, ProgressEvent, WatchOptions } from "../../services/Client.ts"
import type { Caller } from "./Caller.ts"
import * as methods from "./methods.ts"

type Event = ChangeEvent | ProgressEvent

const createRequest = (keys: Keys, options: WatchOptions): WatchRequest => ({
  kind: "create",
  create: {
    ...spanOf(keys),
    startRevision: options.revision ?? 0,
    progressNotify: options.progress ?? false,
    filters: options.only === undefined ? [] : [options.only === "put" ? WatchFilter.NoDelete : WatchFilter.NoPut],
    prevKv: options.previous ?? false,
    watchId: 0n,
    fragment: false
  }
})

/** A refusal comes as the text of a status. */
const refusal = (reason: string): EtcdError => {
  const match = /^rpc error: code = (\w+) desc = (.*)$/s.exec(reason)
  const code = Object.entries(Code).find(([name]) => name === match?.[1])?.[1]
  return code === undefined ? etcdError(Code.Unknown, reason) : etcdError(code, match![2]!)
}

const endOf = ({ cancelReason, compactRevision }: WatchResponse): ClientError =>
  compactRevision > 0
    ? clientError(errors.compacted, compactRevision)
    : clientError(cancelReason === "" ? errors.watchCanceled : refusal(cancelReason), 0)

const eventsOf = (response: WatchResponse, options: WatchOptions): ReadonlyArray<Event> => {
  if (response.created) return []
  if (response.events.length === 0) {
    return options.progress === true ? [{ type: "progress", revision: response.header?.revision ?? 0 }] : []
  }
  return response.events.map(({ kv, prevKv, type }) => ({
    type: type === EventType.Put ? "put" : "delete",
    revision: kv.modRevision,
    entry: new Entry(kv),
    previous: entryOf(prevKv)
  }))
}

type Events = readonly [Event, ...Array<Event>]

/** Events as they come; what ends the watch comes behind those that came before it. */
const eventPull = (
  pull: Pull.Pull<ReadonlyArray<WatchResponse>, ClientError>,
  options: WatchOptions
): Pull.Pull<Events, ClientError> => {
  let failure: ClientError | undefined
  const take = (responses: ReadonlyArray<WatchResponse>): Pull.Pull<Events, ClientError> => {
    const events: Array<Event> = []
    for (const response of responses) {
      if (response.canceled) failure ??= endOf(response)
      else events.push(...eventsOf(response, options))
    }
    const [first, ...rest] = events
    return first === undefined ? next : Effect.succeed([first, ...rest])
  }
  const next: Pull.Pull<Events, ClientError> = Effect.suspend(() =>
    failure === undefined ? Effect.flatMap(pull, take) : Effect.fail(failure)
  )
  return next
}

export const watching = (caller: Caller, keys: Keys, options: WatchOptions = {}): Stream.Stream<Event, ClientError> =>
  Stream.unwrap(
    Effect.map(caller.open(methods.watch, createRequest(keys, options)), ({ pull }) =>
      Stream.fromPull(Effect.sync(() => eventPull(pull, options)))
    )
  )
