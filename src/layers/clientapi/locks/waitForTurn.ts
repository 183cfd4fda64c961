/** Waits until every key under a prefix that is older than one's own is gone: the next older one is watched. */
import { before, watchKey } from "../../../core/locks/recipe.ts"
import { errors, type EtcdError } from "../../../core/wire/errors.ts"
import { EventType, type WatchResponse } from "../../../core/wire/messages.ts"
import type { Reply } from "../../../services/Kv.ts"
import type { Calls } from "./Calls.ts"

const deletes = (response: WatchResponse): boolean => response.events.some(({ type }) => type === EventType.Delete)

/** Calls back once, or not at all when the caller goes: then `gone` is called. */
export const waitForTurn = (
  calls: Calls,
  prefix: Uint8Array,
  createRevision: number,
  gone: () => void,
  reply: Reply<void>
): void => {
  if (!calls.beginWaiting()) return reply.fail(errors.tooManyRequests)
  let stop: (() => void) | undefined
  let over = false
  const finish = (tell: () => void): void => {
    if (over) return
    over = true
    stop?.()
    calls.endWaiting()
    calls.onClosed(undefined)
    tell()
  }
  calls.onClosed(() => finish(gone))
  const fail = (error: EtcdError): void => finish(() => reply.fail(error))

  const look = (): void => {
    if (over) return
    calls.range(before(prefix, createRevision), {
      succeed: ({ header, kvs }) => {
        if (over) return
        const older = kvs[0]
        if (older === undefined) finish(reply.succeed)
        else waitFor(older.key, header!.revision)
      },
      fail
    })
  }

  const waitFor = (key: Uint8Array, revision: number): void => {
    let seen = false
    const watch = calls.watch(watchKey(key, revision + 1), {
      events: (response) => {
        if (seen || !deletes(response)) return true
        seen = true
        // Not inside the commit that deleted it.
        queueMicrotask(() => {
          stop?.()
          look()
        })
        return true
      },
      // What it waited for may be compacted away by now.
      lost: (error) => (error === errors.compacted ? look() : fail(error))
    })
    stop = watch.stop
  }

  look()
}
