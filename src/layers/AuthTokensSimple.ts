/**
 * `AuthTokens` as etcd's simple ones: 16 random letters, a dot and a log index, known to this process alone. A token lives
 * for its time since it was last used.
 */
import { randomInt } from "node:crypto"
import { Clock, Effect, Layer } from "effect"
import { errors } from "../core/wire/errors.ts"
import { AuthTokens, type TokenHolder } from "../services/AuthTokens.ts"

/** Beyond it the token that was not used for longest goes. */
const tokensMax = 100_000
const lettersPerToken = 16
/** How stale the order of use may be, so that a busy token is not moved at each call. */
const orderSlackNanos = 1_000_000_000n

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

interface Held {
  readonly holder: TokenHolder
  usedNanos: bigint
  orderedNanos: bigint
}

export interface AuthTokensSimpleOptions {
  readonly ttlSeconds: number
}

const randomLetters = (): string => {
  let text = ""
  for (let i = 0; i < lettersPerToken; i++) text += letters[randomInt(letters.length)]
  return text
}

export const layer = ({ ttlSeconds }: AuthTokensSimpleOptions): Layer.Layer<AuthTokens> =>
  Layer.effect(
    AuthTokens,
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const ttlNanos = BigInt(Math.round(ttlSeconds * 1e9))
      /** In the order of use. */
      const tokens = new Map<string, Held>()

      const isOver = (held: Held, nowNanos: bigint): boolean => nowNanos - held.usedNanos > ttlNanos

      const sweep = (nowNanos: bigint): void => {
        for (const [token, held] of tokens) {
          if (tokens.size < tokensMax && !isOver(held, nowNanos)) return
          tokens.delete(token)
        }
      }

      return AuthTokens.of({
        assign: (user, _authRevision, index, use) => {
          const now = clock.monotonicTimeNanosUnsafe()
          sweep(now)
          const token = `${randomLetters()}.${index}`
          tokens.set(token, { holder: { user, authRevision: undefined }, usedNanos: now, orderedNanos: now })
          use(token)
        },
        holder: (token, use, refuse) => {
          const held = tokens.get(token)
          if (held === undefined) return refuse(errors.invalidAuthToken)
          const now = clock.monotonicTimeNanosUnsafe()
          if (isOver(held, now)) {
            tokens.delete(token)
            return refuse(errors.invalidAuthToken)
          }
          held.usedNanos = now
          if (now - held.orderedNanos > orderSlackNanos) {
            held.orderedNanos = now
            tokens.delete(token)
            tokens.set(token, held)
          }
          use(held.holder)
        },
        forgetUser: (user) => {
          for (const [token, held] of tokens) if (held.holder.user === user) tokens.delete(token)
        },
        forgetAll: () => tokens.clear()
      })
    })
  )
