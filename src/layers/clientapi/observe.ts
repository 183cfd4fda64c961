/** `v3electionpb.Election/Observe`: the leader's key at each change, from one leader to the next. */
import { oldest, prefixOf, watchKey, watchPrefix } from "../../core/locks/recipe.ts"
import * as codec from "../../core/wire/codec/election.ts"
import { errors, type EtcdError } from "../../core/wire/errors.ts"
import { EventType, type KeyValue, type ResponseHeader, type WatchResponse } from "../../core/wire/messages.ts"
import { decoded } from "./decode.ts"
import { Calls, type LockOptions } from "./locks/Calls.ts"
import { unknown } from "./locks/method.ts"
import type { StreamMethod } from "./streams.ts"

const closedEarly = unknown("election: observe closed early")

interface Watching {
  readonly stop: () => void
  readonly drained: () => void
}

export const observeStream =
  (options: LockOptions): StreamMethod =>
  (out, context) => {
    const calls = new Calls(options, context, false)
    let prefix: Uint8Array | undefined
    let watching: Watching | undefined
    let over = false

    const send = (header: ResponseHeader | undefined, kv: KeyValue): boolean =>
      out.send(codec.LeaderResponse.encode({ header, kv }))

    const end = (error: EtcdError): void => {
      if (over) return
      over = true
      watching?.stop()
      out.end(error)
    }
    const closeEarly = (): void => end(closedEarly)

    /** Not inside the commit whose event led here. */
    const later = (step: () => void): void => {
      watching?.stop()
      watching = undefined
      queueMicrotask(() => {
        if (!over) step()
      })
    }

    // What is missed where history is compacted away is made up for by looking again.
    const lost = (error: EtcdError): void => {
      if (error === errors.compacted) later(look)
      else closeEarly()
    }

    const look = (): void =>
      calls.range(oldest(prefix!), {
        succeed: ({ header, kvs }) => {
          if (over) return
          const leader = kvs[0]
          if (leader === undefined) return awaitLeader(header!.revision)
          send(header, leader)
          follow(leader.key, header!.revision)
        },
        fail: closeEarly
      })

    /** Nobody stands for election: whoever comes first is the leader. */
    const awaitLeader = (revision: number): void => {
      watching = calls.watch(watchPrefix(prefix!, revision + 1), {
        events: ({ events, header }) => {
          const first = events.find(({ type }) => type === EventType.Put)
          if (first === undefined) return true
          const { kv } = first
          later(() => follow(kv.key, kv.modRevision))
          return send({ ...header!, revision: kv.modRevision }, kv)
        },
        lost
      })
    }

    const followed = ({ events, header }: WatchResponse): boolean => {
      let room = true
      for (const { kv, type } of events) {
        if (type === EventType.Delete) {
          later(look)
          break
        }
        room = send(header, kv)
      }
      return room
    }

    const follow = (key: Uint8Array, revision: number): void => {
      watching = calls.watch(watchKey(key, revision + 1), { events: followed, lost })
    }

    return {
      message: (bytes) =>
        decoded(
          codec.LeaderRequest.name,
          bytes,
          codec.LeaderRequest.decode,
          ({ name }) => {
            if (over || prefix !== undefined) return
            prefix = prefixOf(name)
            look()
          },
          end
        ),
      drained: () => watching?.drained(),
      ended: () => {},
      closed: () => {
        over = true
        watching?.stop()
      }
    }
  }
