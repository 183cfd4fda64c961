/**
 * `AuthTokens` that are good on every node, over those that are known only where they were made (`AuthTokensSimple`): a
 * node that does not know one asks the Primary, then everybody else, and remembers the answer for a while. Tokens of users
 * who are gone or have another password are forgotten by every node as the log tells it (`forgetUser`, `forgetAll`).
 */
import { Cause, Clock, Effect, FiberSet, Layer } from "effect"
import { Code, type EtcdError, errors } from "../core/wire/errors.ts"
import {
  decodeTokenAnswer,
  decodeTokenRequest,
  encodeTokenAnswer,
  encodeTokenRequest
} from "../core/wire/peer/forward.ts"
import type { NodeInfo, TokenAnswer } from "../core/wire/peer/messages.ts"
import { peerMethods } from "../core/wire/peer/methods.ts"
import { MalformedMessage } from "../core/wire/protobuf.ts"
import { AuthTokens, type TokenHolder } from "../services/AuthTokens.ts"
import { ClusterView } from "../services/ClusterView.ts"
import { PeerNetwork } from "../services/PeerNetwork.ts"
import { ReplicatedState } from "../services/ReplicatedState.ts"
import { Replicator } from "../services/Replicator.ts"
import { Supervisor } from "../services/Supervisor.ts"

const askMillis = 1_000
/** A node that has not yet heard of a change of users that this one knows is asked again. */
const againMillis = 50
/** Where a token lives it counts as used when it is asked for: remembered for a part of its time only. */
const rememberedMillisMax = 30_000
const rememberedMax = 10_000
/** Tokens that are being asked for, and calls that wait for them. */
const lookupsMax = 256
const waitingMax = 16_384

/** As they are made: nobody is asked about anything else. */
const tokenForm = /^[A-Za-z]{16}\.\d{1,16}$/

interface Waiting {
  readonly use: (holder: TokenHolder) => void
  readonly refuse: (error: EtcdError) => void
}

interface Remembered {
  readonly user: string
  readonly untilMillis: number
}

export interface AuthTokensPeersOptions {
  readonly ttlSeconds: number
}

export const layer = ({
  ttlSeconds
}: AuthTokensPeersOptions): Layer.Layer<
  AuthTokens,
  never,
  AuthTokens | PeerNetwork | ClusterView | Replicator | ReplicatedState | Supervisor
> =>
  Layer.effect(
    AuthTokens,
    Effect.gen(function* () {
      const own = yield* AuthTokens
      const network = yield* PeerNetwork
      const view = yield* ClusterView
      const replicator = yield* Replicator
      const state = yield* ReplicatedState
      const supervisor = yield* Supervisor
      const clock = yield* Clock.Clock
      const run = yield* FiberSet.makeRuntime<never>()

      const nowMillis = (): number => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
      const rememberedMillis = Math.min(rememberedMillisMax, (ttlSeconds * 1_000) / 10)
      /** Of other nodes, in the order in which they were learned. */
      const remembered = new Map<string, Remembered>()
      const lookups = new Map<string, Array<Waiting>>()
      let waiting = 0

      const forgetUser = (user: string): void => {
        own.forgetUser(user)
        for (const [token, found] of remembered) if (found.user === user) remembered.delete(token)
      }
      const forgetAll = (): void => {
        own.forgetAll()
        remembered.clear()
      }

      const ask = ({ name, peerAddress }: NodeInfo, token: string): Effect.Effect<TokenAnswer | undefined> =>
        Effect.callback((resume) => {
          const to = { nodeId: name.nodeId, address: peerAddress }
          const cancel = network.call(to, peerMethods.tokenHolder, encodeTokenRequest({ token }), askMillis, {
            succeed: (bytes) => resume(Effect.sync(() => decodedAnswer(bytes))),
            fail: () => resume(Effect.succeed(undefined))
          })
          return Effect.sync(cancel)
        })

      /** What the node knows, once it knows as much of users as this one. */
      const userAt = (node: NodeInfo, token: string): Effect.Effect<string | undefined> =>
        Effect.gen(function* () {
          for (;;) {
            const answer = yield* ask(node, token)
            if (answer === undefined || answer.user === "") return undefined
            if (answer.authRevision >= state.auth().revision) return answer.user
            yield* Effect.sleep(againMillis)
          }
        }).pipe(Effect.timeoutOrElse({ duration: askMillis, orElse: () => Effect.succeed(undefined) }))

      const settle = (token: string, user: string | undefined): void => {
        const callers = lookups.get(token)
        if (callers === undefined) return
        lookups.delete(token)
        waiting -= callers.length
        if (user !== undefined) {
          if (remembered.size >= rememberedMax) remembered.delete(remembered.keys().next().value!)
          remembered.set(token, { user, untilMillis: nowMillis() + rememberedMillis })
        }
        for (const { refuse, use } of callers) {
          if (user === undefined) refuse(errors.invalidAuthToken)
          else use({ user, authRevision: undefined })
        }
      }

      const lookUp = (token: string): Effect.Effect<void> =>
        Effect.gen(function* () {
          const primary = replicator.primary()
          const others = view
            .current()
            .nodes.filter(({ name }) => !view.isSelf(name) && name.nodeId !== primary?.name.nodeId)
          const told = (node: NodeInfo): Effect.Effect<void> =>
            Effect.map(userAt(node, token), (user) => {
              if (user !== undefined) settle(token, user)
            })
          if (primary !== undefined) yield* told(primary)
          if (lookups.has(token)) yield* Effect.forEach(others, told, { concurrency: "unbounded", discard: true })
          settle(token, undefined)
        }).pipe(
          Effect.catchCause((cause) =>
            Effect.sync(() => {
              if (!Cause.hasInterruptsOnly(cause)) supervisor.fail("auth tokens", Cause.squash(cause))
              settle(token, undefined)
            })
          )
        )

      const elsewhere = (token: string, caller: Waiting): void => {
        const found = remembered.get(token)
        if (found !== undefined) {
          if (nowMillis() < found.untilMillis) return caller.use({ user: found.user, authRevision: undefined })
          remembered.delete(token)
        }
        if (!tokenForm.test(token)) return caller.refuse(errors.invalidAuthToken)
        const callers = lookups.get(token)
        if (waiting >= waitingMax || (callers === undefined && lookups.size >= lookupsMax)) {
          return caller.refuse(errors.tooManyRequests)
        }
        waiting++
        if (callers !== undefined) {
          callers.push(caller)
          return
        }
        lookups.set(token, [caller])
        run(lookUp(token))
      }

      network.handle(peerMethods.tokenHolder, (bytes, _from, answer) => {
        const token = decodedToken(bytes)
        if (token === undefined) return answer.fail(Code.InvalidArgument, "not a TokenRequest")
        own.holder(
          token,
          ({ user }) => answer.succeed(encodeTokenAnswer({ user, authRevision: state.auth().revision })),
          () => answer.succeed(encodeTokenAnswer({ user: "", authRevision: 0 }))
        )
      })

      return AuthTokens.of({
        assign: own.assign,
        holder: (token, use, refuse) => {
          own.holder(token, use, () => elsewhere(token, { use, refuse }))
        },
        forgetUser,
        forgetAll
      })
    })
  )

const decoded = <A>(bytes: Uint8Array, decode: (bytes: Uint8Array) => A): A | undefined => {
  try {
    return decode(bytes)
  } catch (error) {
    if (error instanceof MalformedMessage) return undefined
    throw error
  }
}

const decodedAnswer = (bytes: Uint8Array): TokenAnswer | undefined => decoded(bytes, decodeTokenAnswer)
const decodedToken = (bytes: Uint8Array): string | undefined => decoded(bytes, decodeTokenRequest)?.token
