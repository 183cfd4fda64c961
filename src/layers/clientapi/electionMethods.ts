/** `v3electionpb.Election` but for Observe (etcd-api.md 2.12). */
import { assert } from "../../core/assert.ts"
import { firstOf, leave, oldest, one, ownKey, prefixOf, replace, standInLine } from "../../core/locks/recipe.ts"
import { compareBytes } from "../../core/mvcc/keys.ts"
import * as codec from "../../core/wire/codec/election.ts"
import type { EtcdError } from "../../core/wire/errors.ts"
import type { ResponseHeader } from "../../core/wire/messages.ts"
import type { Reply } from "../../services/Kv.ts"
import { type Calls, canceled, type LockOptions, type Session } from "./locks/Calls.ts"
import { recipeMethod, unknown } from "./locks/method.ts"
import { waitForTurn } from "./locks/waitForTurn.ts"
import type { UnaryMethod } from "./method.ts"

const missingLeader = unknown('"leader" field must be provided')
const notLeader = unknown("election: not leader")
const noLeader = unknown("election: no leader")

/** A new value for the leader's key. */
const proclaim = (
  calls: Calls,
  { key, lease, rev }: codec.LeaderKey,
  value: Uint8Array,
  reply: Reply<codec.ProclaimResponse>
): void =>
  calls.txn(replace(key, rev, value, lease), {
    succeed: ({ header, succeeded }) => (succeeded ? reply.succeed({ header }) : reply.fail(notLeader)),
    fail: reply.fail
  })

/** A candidate stands in line with `leader.key`. */
const waitInLine = (
  calls: Calls,
  session: Session,
  leader: codec.LeaderKey,
  header: ResponseHeader | undefined,
  reply: Reply<codec.CampaignResponse>
): void => {
  /** The key stays, as in etcd: with the same lease the caller finds its place in the line again. */
  const failed = (error: EtcdError): void => {
    calls.endSession(session)
    reply.fail(error)
  }
  const gone = (): void => {
    calls.withdraw(session, leader.key, leader.rev)
    reply.fail(canceled)
  }
  waitForTurn(calls, prefixOf(leader.name), leader.rev, gone, {
    succeed: () =>
      calls.range(one(leader.key), {
        succeed: ({ kvs }) => {
          if (calls.closed) return gone()
          // The lease may have run out while the candidate waited: then somebody else leads.
          if (kvs[0]?.createRevision === leader.rev) reply.succeed({ header, leader })
          else reply.fail(notLeader)
        },
        fail: failed
      }),
    fail: failed
  })
}

const campaign = (
  { lease, name, value }: codec.CampaignRequest,
  calls: Calls,
  reply: Reply<codec.CampaignResponse>
): void =>
  calls.session(lease, {
    succeed: (session) => {
      const key = ownKey(name, session.lease)
      calls.txn(standInLine(key, value, session.lease, []), {
        succeed: (answer) => {
          const { header, succeeded } = answer
          const earlier = succeeded ? undefined : firstOf(answer, 0)
          const rev = succeeded ? header!.revision : earlier?.createRevision
          assert(rev !== undefined, "a key that was not absent was found")
          const leader: codec.LeaderKey = { name, key, rev, lease: session.lease }
          const wait = (): void => waitInLine(calls, session, leader, header, reply)
          if (calls.closed && succeeded) {
            calls.withdraw(session, key, rev)
            reply.fail(canceled)
          } else if (earlier === undefined || compareBytes(earlier.value, value) === 0) wait()
          else {
            proclaim(calls, leader, value, {
              succeed: wait,
              fail: (error) => {
                calls.withdraw(session, key, rev)
                reply.fail(error)
              }
            })
          }
        },
        fail: (error) => {
          calls.endSession(session)
          reply.fail(error)
        }
      })
    },
    fail: reply.fail
  })

export const electionMethods = (options: LockOptions): ReadonlyMap<string, UnaryMethod> =>
  new Map([
    [
      "/v3electionpb.Election/Campaign",
      recipeMethod(options, {
        request: codec.CampaignRequest,
        encode: codec.CampaignResponse.encode,
        waits: true,
        call: campaign
      })
    ],
    [
      "/v3electionpb.Election/Proclaim",
      recipeMethod(options, {
        request: codec.ProclaimRequest,
        encode: codec.ProclaimResponse.encode,
        waits: false,
        call: ({ leader, value }, calls, reply) => {
          if (leader === undefined) return reply.fail(missingLeader)
          calls.session(leader.lease, {
            succeed: (session) =>
              proclaim(calls, { ...leader, lease: session.lease }, value, {
                succeed: reply.succeed,
                fail: (error) => {
                  calls.endSession(session)
                  reply.fail(error)
                }
              }),
            fail: reply.fail
          })
        }
      })
    ],
    [
      "/v3electionpb.Election/Leader",
      recipeMethod(options, {
        request: codec.LeaderRequest,
        encode: codec.LeaderResponse.encode,
        waits: false,
        call: ({ name }, calls, reply) =>
          calls.range(oldest(prefixOf(name)), {
            succeed: ({ header, kvs }) =>
              kvs[0] === undefined ? reply.fail(noLeader) : reply.succeed({ header, kv: kvs[0] }),
            fail: reply.fail
          })
      })
    ],
    [
      "/v3electionpb.Election/Resign",
      recipeMethod(options, {
        request: codec.ResignRequest,
        encode: codec.ResignResponse.encode,
        waits: false,
        call: ({ leader }, calls, { fail, succeed }) => {
          if (leader === undefined) return fail(missingLeader)
          calls.txn(leave(leader.key, leader.rev), { succeed: ({ header }) => succeed({ header }), fail })
        }
      })
    ]
  ])
