/** `KV/RangeStream` (rule R12): a range in chunks, each made when the one before has left. */
import { chunkKeysFirst, nextChunkKeys, streamRefusal } from "../../core/txn/rangeStream.ts"
import { checkRange } from "../../core/txn/check.ts"
import { decodeRangeRequest, encodeRangeResponse } from "../../core/wire/codec/kv.ts"
import { encodeWrapped } from "../../core/wire/codec/rangeStream.ts"
import { type EtcdError, errors } from "../../core/wire/errors.ts"
import type { RangeRequest } from "../../core/wire/messages.ts"
import type { Access } from "../../services/Access.ts"
import type { Kv, RangeReader } from "../../services/Kv.ts"
import { decoded } from "./decode.ts"
import type { StreamMethod } from "./streams.ts"

export const rangeStream =
  (kv: Kv["Service"], access: Access["Service"], maxRequestBytes: number): StreamMethod =>
  (out, context) => {
    let over = false
    /** Set while the receiver is full. */
    let whenDrained: (() => void) | undefined

    const end = (error: EtcdError | undefined): void => {
      if (over) return
      over = true
      out.end(error)
    }

    const chunks = (reader: RangeReader, stillAllowed: () => boolean): void => {
      let keys = chunkKeysFirst
      const next = (): void => {
        if (over) return
        reader.next(keys, {
          succeed: ({ done, kvs }) => {
            if (over) return
            if (!stillAllowed()) return end(errors.authOldRevision)
            const bytes = encodeRangeResponse(
              done
                ? { header: reader.header, kvs, more: reader.more, count: reader.count }
                : { header: undefined, kvs, more: false, count: 0 }
            )
            const room = out.send(encodeWrapped(bytes))
            if (done) return end(undefined)
            keys = nextChunkKeys(keys, bytes.length, maxRequestBytes)
            if (room) setImmediate(next)
            else whenDrained = next
          },
          fail: end
        })
      }
      next()
    }

    const begin = (request: RangeRequest, stillAllowed: () => boolean): void =>
      kv.openRange(request, { succeed: (reader) => chunks(reader, stillAllowed), fail: end })

    const start = (request: RangeRequest): void => {
      const refused = checkRange(request) ?? streamRefusal(request)
      if (refused !== undefined) return end(refused)
      if (!access.enabled()) return begin(request, () => true)
      access.identify(
        context,
        (caller) => {
          const denied = access.range(caller, request)
          if (denied !== undefined) return end(denied)
          const revision = access.revision()
          begin(request, () => !access.enabled() || access.revision() === revision)
        },
        end
      )
    }

    return {
      message: (bytes) => decoded("RangeRequest", bytes, decodeRangeRequest, start, end),
      drained: () => {
        const go = whenDrained
        whenDrained = undefined
        go?.()
      },
      ended: () => {},
      closed: () => {
        over = true
      }
    }
  }
