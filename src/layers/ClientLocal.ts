/**
 * `Client` over the `ClientApi` of this process, without a socket: the same checks, the same way to the Primary and the same
 * answers as for a client at a port.
 */
import { Effect, Layer, Option, Stream } from "effect"
import { Entry, entryOf } from "../core/client/Entry.ts"
import { type KeySpan, spanAfter, spanOf } from "../core/client/keys.ts"
import * as requests from "../core/client/requests.ts"
import { toBytes } from "../core/client/text.ts"
import { txnRequest, txnResult } from "../core/client/txn.ts"
import { Client, type ClientShape, type WatchEvent, type WatchOptions } from "../services/Client.ts"
import type { ClientError } from "../services/ClientError.ts"
import { ClientApi } from "../services/ClientApi.ts"
import { Kv } from "../services/Kv.ts"
import { Supervisor } from "../services/Supervisor.ts"
import { Calls } from "./client/Calls.ts"
import { anonymous, type Caller, loggedIn } from "./client/Caller.ts"
import { makeLeasing } from "./client/leasing.ts"
import * as methods from "./client/methods.ts"
import { typed } from "./client/typed.ts"
import { watching } from "./client/watching.ts"

const pageSizeDefault = 1_000

const make = (calls: Calls, caller: Caller, supervisor: Supervisor["Service"]): ClientShape => {
  const leasing = makeLeasing(caller, supervisor)

  const rangeOf = (span: KeySpan, options?: requests.RangeOptions) =>
    Effect.map(caller.unary(methods.range, requests.rangeRequest(span, options)), requests.rangeResult)

  const scan: ClientShape["scan"] = (keys, { pageSize = pageSizeDefault, ...options } = {}) =>
    Stream.paginate(
      { span: spanOf(keys), revision: options.revision },
      Effect.fnUntraced(function* ({ revision, span }) {
        const page = yield* rangeOf(span, { ...options, revision, limit: pageSize })
        const last = page.entries.at(-1)
        // Every page shows the store as it was at the first.
        const next =
          last === undefined || !page.more
            ? Option.none()
            : Option.some({ span: spanAfter(span, last.keyBytes), revision: revision ?? page.revision })
        return [page.entries, next] as const
      })
    )

  const client: ClientShape = {
    get: (key, options) =>
      Effect.map(caller.unary(methods.range, requests.rangeRequest(spanOf(key), options)), ({ kvs }) =>
        entryOf(kvs[0])
      ),
    range: (keys, options) => rangeOf(spanOf(keys), options),
    count: (keys, options) => Effect.map(rangeOf(spanOf(keys), { ...options, countOnly: true }), ({ count }) => count),
    scan,
    put: (key, value, options) =>
      Effect.map(caller.unary(methods.put, requests.putRequest(key, value, options)), requests.putResult),
    delete: (keys, options) =>
      Effect.map(caller.unary(methods.deleteRange, requests.deleteRequest(keys, options)), requests.deleteResult),
    txn: (spec) => Effect.map(caller.unary(methods.txn, txnRequest(spec)), (response) => txnResult(spec, response)),
    watch: <const O extends WatchOptions>(keys: Parameters<ClientShape["watch"]>[0], options?: O) =>
      watching(caller, keys, options) as Stream.Stream<WatchEvent<O>, ClientError>,
    grant: (ttl, options) => leasing.grant(ttl, options?.id ?? 0n),
    keepAlive: leasing.keepAlive,
    revoke: leasing.revoke,
    timeToLive: leasing.timeToLive,
    leases: Effect.map(caller.unary(methods.leases, {}), (answer) => answer.leases.map(({ id }) => id)),
    lease: leasing.lease,
    withLease: (options, use) =>
      Effect.scoped(Effect.flatMap(leasing.lease(options), (lease) => Effect.raceFirst(use(lease), lease.lost))),
    lock: leasing.lock,
    withLock: (name, use, options) =>
      Effect.scoped(Effect.flatMap(leasing.lock(name, options), (lock) => Effect.raceFirst(use(lock), lock.lost))),
    campaign: leasing.campaign,
    leader: leasing.leader,
    observe: (name) =>
      Stream.unwrap(
        Effect.map(caller.open(methods.observe, { name: toBytes(name) }), ({ pull }) =>
          Stream.fromPull(Effect.succeed(pull)).pipe(
            Stream.flatMap(({ kv }) => (kv === undefined ? Stream.empty : Stream.make(new Entry(kv))))
          )
        )
      ),
    compact: (revision, options) =>
      Effect.asVoid(caller.unary(methods.compact, { revision, physical: options?.physical ?? false })),
    status: Effect.map(caller.unary(methods.status, {}), (answer) => ({
      version: answer.version,
      memberId: answer.header?.memberId ?? 0n,
      leaderId: answer.leader,
      isLeader: answer.leader !== 0n && answer.leader === answer.header?.memberId,
      revision: answer.header?.revision ?? 0,
      term: answer.raftTerm,
      index: answer.raftIndex,
      appliedIndex: answer.raftAppliedIndex,
      dbSizeBytes: answer.dbSize,
      dbSizeInUseBytes: answer.dbSizeInUse,
      problems: answer.errors
    })),
    json: (schema) => typed(client, schema),
    login: (name, password) => Effect.map(loggedIn(calls, name, password), (user) => make(calls, user, supervisor))
  }
  return client
}

export const layer: Layer.Layer<Client, never, ClientApi | Kv | Supervisor> = Layer.effect(
  Client,
  Effect.gen(function* () {
    const supervisor = yield* Supervisor
    const { floor } = yield* Kv
    const calls = new Calls({
      api: yield* ClientApi,
      floor,
      defect: (error) => supervisor.fail("client", error)
    })
    const end = Effect.sync(() => calls.end())
    yield* Effect.addFinalizer(() => end)
    yield* supervisor.spawn("client", supervisor.ended.pipe(Effect.catch(() => Effect.andThen(end, Effect.never))))
    return make(calls, anonymous(calls), supervisor)
  })
)
