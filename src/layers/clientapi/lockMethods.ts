/** `v3lockpb.Lock` (etcd-api.md 2.12). */
import { assert } from "../../core/assert.ts"
import { firstOf, oldest, one, ownKey, prefixOf, standInLine } from "../../core/locks/recipe.ts"
import { emptyBytes } from "../../core/log/record.ts"
import * as codec from "../../core/wire/codec/lock.ts"
import type { EtcdError } from "../../core/wire/errors.ts"
import type { Reply } from "../../services/Kv.ts"
import { type Calls, canceled, type LockOptions, type Session } from "./locks/Calls.ts"
import { recipeMethod, unknown } from "./locks/method.ts"
import { waitForTurn } from "./locks/waitForTurn.ts"
import type { UnaryMethod } from "./method.ts"

const sessionExpired = unknown("mutex: session is expired")

/** The caller stands in line with `key`, created in `createRevision`. */
const waitInLine = (
  calls: Calls,
  session: Session,
  name: Uint8Array,
  key: Uint8Array,
  createRevision: number,
  reply: Reply<codec.LockResponse>
): void => {
  const giveUp = (error: EtcdError): void => {
    calls.withdraw(session, key, createRevision)
    reply.fail(error)
  }
  waitForTurn(calls, prefixOf(name), createRevision, () => giveUp(canceled), {
    succeed: () =>
      calls.range(one(key), {
        succeed: ({ header, kvs }) => {
          if (calls.closed) return giveUp(canceled)
          // The lease may have run out while the caller waited.
          if (kvs[0]?.createRevision !== createRevision) return reply.fail(sessionExpired)
          reply.succeed({ header, key })
        },
        fail: giveUp
      }),
    fail: giveUp
  })
}

const lock = ({ lease, name }: codec.LockRequest, calls: Calls, reply: Reply<codec.LockResponse>): void =>
  calls.session(lease, {
    succeed: (session) => {
      const key = ownKey(name, session.lease)
      calls.txn(standInLine(key, emptyBytes, session.lease, [oldest(prefixOf(name))]), {
        succeed: (answer) => {
          const { header, succeeded } = answer
          const createRevision = succeeded ? header!.revision : firstOf(answer, 0)?.createRevision
          assert(createRevision !== undefined, "a key that was not absent was found")
          const owner = firstOf(answer, 1)
          if (calls.closed && succeeded) {
            calls.withdraw(session, key, createRevision)
            reply.fail(canceled)
          } else if (owner === undefined || owner.createRevision === createRevision) reply.succeed({ header, key })
          else waitInLine(calls, session, name, key, createRevision, reply)
        },
        fail: (error) => {
          calls.endSession(session)
          reply.fail(error)
        }
      })
    },
    fail: reply.fail
  })

export const lockMethods = (options: LockOptions): ReadonlyMap<string, UnaryMethod> =>
  new Map([
    [
      "/v3lockpb.Lock/Lock",
      recipeMethod(options, {
        request: codec.LockRequest,
        encode: codec.LockResponse.encode,
        waits: true,
        call: lock
      })
    ],
    [
      "/v3lockpb.Lock/Unlock",
      recipeMethod(options, {
        request: codec.UnlockRequest,
        encode: codec.UnlockResponse.encode,
        waits: false,
        call: ({ key }, calls, { fail, succeed }) =>
          calls.deleteRange(
            { key, rangeEnd: emptyBytes, prevKv: false },
            { succeed: ({ header }) => succeed({ header }), fail }
          )
      })
    ]
  ])
