/** Keep-alives, locks and elections while authentication is on: who may do what (rule L10, etcd-api.md 2.10). */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as election from "../../src/core/wire/codec/election.ts"
import * as lease from "../../src/core/wire/codec/lease.ts"
import * as lock from "../../src/core/wire/codec/lock.ts"
import type { Message } from "../../src/core/wire/codec/message.ts"
import { Code, type EtcdError, errors, etcdError } from "../../src/core/wire/errors.ts"
import type { CallContext } from "../../src/services/ClientApi.ts"
import {
  type Api,
  bytes,
  client,
  contextOf,
  makeAuthWorld,
  startApi,
  type Who,
  withRoot,
  withUser
} from "../auth/world.ts"

const readWrite = 2
const unknown = (error: EtcdError): EtcdError => etcdError(Code.Unknown, error.message)

const unary =
  <Request, Response>(path: string, request: Message<Request>, response: Message<Response>) =>
  (api: Api, context: CallContext, message: Request): Effect.Effect<Response, EtcdError> =>
    Effect.callback<Response, EtcdError>((resume) =>
      api.unary(path, request.encode(message), context, {
        succeed: (answer) => resume(Effect.succeed(response.decode(answer))),
        fail: (error) => resume(Effect.fail(error))
      })
    )

const acquire = unary("/v3lockpb.Lock/Lock", lock.LockRequest, lock.LockResponse)
const release = unary("/v3lockpb.Lock/Unlock", lock.UnlockRequest, lock.UnlockResponse)
const campaign = unary("/v3electionpb.Election/Campaign", election.CampaignRequest, election.CampaignResponse)
const leader = unary("/v3electionpb.Election/Leader", election.LeaderRequest, election.LeaderResponse)

/** What a stream of the caller is answered to the messages, and how it ends. */
const streamed = (api: Api, who: Who, method: string, messages: ReadonlyArray<Uint8Array>) =>
  Effect.gen(function* () {
    const answers: Array<Uint8Array> = []
    let ended = false
    let error: EtcdError | undefined
    const stream = api.stream(method, contextOf(who), {
      send: (message) => {
        answers.push(message)
        return true
      },
      end: (status) => {
        ended = true
        error = status
      }
    })
    for (const message of messages) stream.message(message)
    stream.ended()
    for (let i = 0; i < 500 && !ended; i++) yield* Effect.sleep(10)
    stream.closed()
    assert.isTrue(ended)
    return { answers, error }
  })

const keepAlive = (api: Api, who: Who, ids: ReadonlyArray<bigint>) =>
  streamed(
    api,
    who,
    "/etcdserverpb.Lease/LeaseKeepAlive",
    ids.map((id) => lease.LeaseKeepAliveRequest.encode({ id }))
  ).pipe(
    Effect.map(({ answers, error }) => ({
      ttls: answers.map((bytesOf) => lease.LeaseKeepAliveResponse.decode(bytesOf).ttl),
      error
    }))
  )

const prepared = Effect.gen(function* () {
  const { api, node } = yield* startApi(makeAuthWorld())
  const root = yield* withRoot(api)
  const alice = yield* withUser(api, root, "alice", [[readWrite, "al/", "al0"]])
  const who: Who = { token: yield* client(api).logIn("alice", "pw of alice") }
  return { api, node, root, alice, who }
})

describe("with authentication on", () => {
  it.live("a lease is kept alive by who may write its keys; the stream ends at the first that is refused", () =>
    Effect.gen(function* () {
      const { alice, api, node, root, who } = yield* prepared
      for (const id of [1n, 2n]) yield* alice.leaseGrant(id)
      yield* alice.put("al/a", "v", 1n)
      yield* root.put("other", "v", 2n)
      assert.deepStrictEqual(yield* keepAlive(api, who, [1n, 1n, 404n]), { ttls: [60, 60, 0], error: undefined })
      assert.deepStrictEqual(yield* keepAlive(api, who, [1n, 2n, 1n]), { ttls: [60], error: errors.permissionDenied })
      assert.deepStrictEqual(yield* keepAlive(api, {}, [1n]), { ttls: [], error: errors.userEmpty })
      const bad = yield* keepAlive(api, { token: "no such token" }, [1n])
      assert.deepStrictEqual(bad, { ttls: [], error: errors.invalidAuthToken })
      yield* node.stop
    })
  )

  it.live("locks and elections need the rights of the calls that they are made of", () =>
    Effect.gen(function* () {
      const { api, node, who } = yield* prepared
      const context = contextOf(who)
      const { key } = yield* acquire(api, context, { name: bytes("al/lock"), lease: 0n })
      yield* release(api, context, { key })
      yield* campaign(api, context, { name: bytes("al/vote"), lease: 0n, value: bytes("a") })
      assert.isDefined((yield* leader(api, context, { name: bytes("al/vote") })).kv)
      const denied = unknown(errors.permissionDenied)
      const elsewhere = bytes("elsewhere")
      for (const call of [
        acquire(api, context, { name: elsewhere, lease: 0n }),
        release(api, context, { key: elsewhere }),
        campaign(api, context, { name: elsewhere, lease: 0n, value: bytes("a") }),
        leader(api, context, { name: elsewhere })
      ]) {
        assert.deepStrictEqual(yield* Effect.flip<unknown, EtcdError, never>(call), denied)
      }
      const nobody = yield* Effect.flip(acquire(api, contextOf({}), { name: elsewhere, lease: 0n }))
      assert.deepStrictEqual(nobody, unknown(errors.userEmpty))
      const observed = yield* streamed(api, who, "/v3electionpb.Election/Observe", [
        election.LeaderRequest.encode({ name: elsewhere })
      ])
      assert.deepStrictEqual(observed, {
        answers: [],
        error: etcdError(Code.Unknown, "election: observe closed early")
      })
      yield* node.stop
    })
  )

  it.live("whoever loses the right while waiting is told, and is out of the line", () =>
    Effect.gen(function* () {
      const { api, node, root, who } = yield* prepared
      const name = bytes("al/lock")
      const { key } = yield* acquire(api, contextOf(who), { name, lease: 0n })
      const failed: Array<EtcdError> = []
      api.unary("/v3lockpb.Lock/Lock", lock.LockRequest.encode({ name, lease: 0n }), contextOf(who), {
        succeed: () => assert.fail("it has the lock"),
        fail: (error) => failed.push(error)
      })
      while ((yield* root.range("al/", "al0")).count < 2) yield* Effect.sleep(10)
      yield* root.revokeRole("alice", "role of alice")
      yield* root.deleteRange(Buffer.from(key).toString())
      for (let i = 0; i < 500 && failed.length === 0; i++) yield* Effect.sleep(10)
      assert.deepStrictEqual(failed, [unknown(errors.permissionDenied)])
      while ((yield* root.range("al/", "al0")).count > 0) yield* Effect.sleep(10)
      yield* node.stop
    })
  )
})
