/** Tokens of logged-in users: made at log-in, sent with every call. */
import { Context, Schema } from "effect"
import type { EtcdError } from "../core/wire/errors.ts"

/** The keys that tokens are signed with cannot be used. */
export class TokenKeyInvalid extends Schema.TaggedError<TokenKeyInvalid>()("TokenKeyInvalid", {
  path: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `key of auth tokens ${this.path}: ${this.reason}`
  }
}

export interface TokenHolder {
  readonly user: string
  /** Of the auth store when the token was made; undefined: the token follows the store. */
  readonly authRevision: number | undefined
}

export class AuthTokens extends Context.Service<
  AuthTokens,
  {
    /** `index` is a position in the log, for tokens that name one. */
    readonly assign: (
      user: string,
      authRevision: number,
      index: number,
      use: (token: string) => void,
      fail: (error: EtcdError) => void
    ) => void
    /** Exactly one of the two is called, once; at once where the token has been seen before. */
    readonly holder: (token: string, use: (holder: TokenHolder) => void, refuse: (error: EtcdError) => void) => void
    /** The user is gone or has another password. */
    readonly forgetUser: (user: string) => void
    readonly forgetAll: () => void
  }
>()("netsy/services/AuthTokens") {}
