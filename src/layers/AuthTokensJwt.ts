/**
 * `AuthTokens` as signed JWTs with etcd's claims (username, revision, exp): every node with the keys knows them, and
 * none can be taken back before its time but by a change of the auth store.
 */
import { readFile } from "node:fs/promises"
import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto"
import { Clock, DateTime, Effect, Layer } from "effect"
import { jwtVerify, type JWTPayload, SignJWT } from "jose"
import { Code, errors, etcdError } from "../core/wire/errors.ts"
import { AuthTokens, type TokenHolder, TokenKeyInvalid } from "../services/AuthTokens.ts"
import { Log } from "../services/Log.ts"

/** Verified ones are kept: a call with one of them costs no signature check. */
const verifiedMax = 10_000
/** Tokens that are being checked. */
const checksMax = 256
const tokenLengthMax = 8_192
const keyBytesMax = 1 << 20

const verifyOnly = etcdError(Code.Unknown, "auth: token signing attempted with verify-only key")

export interface AuthTokensJwtOptions {
  readonly publicKeyFile: string | undefined
  readonly privateKeyFile: string | undefined
  readonly signMethod: string
  readonly ttlSeconds: number
}

type Key = KeyObject | Uint8Array

interface Keys {
  /** Undefined: none are made here. */
  readonly sign: Key | undefined
  readonly verify: Key
}

interface Verified {
  readonly holder: TokenHolder
  /** Undefined: never. */
  readonly expiresSeconds: number | undefined
}

const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

const loadKey = (path: string, parse: (pem: Buffer) => Key): Effect.Effect<Key, TokenKeyInvalid> =>
  Effect.tryPromise({
    try: () => readFile(path),
    catch: (cause) => new TokenKeyInvalid({ path, reason: reasonOf(cause) })
  }).pipe(
    Effect.flatMap((pem) =>
      Effect.try({
        try: () => {
          if (pem.length === 0) throw new Error("the file is empty")
          if (pem.length > keyBytesMax) throw new Error(`larger than ${keyBytesMax} bytes`)
          return parse(pem)
        },
        catch: (cause) => new TokenKeyInvalid({ path, reason: reasonOf(cause) })
      })
    )
  )

const curves: Readonly<Record<string, string>> = { ES256: "prime256v1", ES384: "secp384r1", ES512: "secp521r1" }
const rsaBitsMin = 2_048

/** Undefined: the method signs with keys of this kind. */
const unfit = (signMethod: string, key: KeyObject): string | undefined => {
  const { asymmetricKeyDetails: details, asymmetricKeyType: type } = key
  const wanted = signMethod === "EdDSA" ? "ed25519" : signMethod.startsWith("ES") ? "ec" : "rsa"
  if (type !== wanted) return `${signMethod} needs a key of type ${wanted}, this one is ${type}`
  const curve = curves[signMethod]
  if (curve !== undefined && details?.namedCurve !== curve) {
    return `${signMethod} needs the curve ${curve}, this one is ${details?.namedCurve}`
  }
  if (wanted === "rsa" && (details?.modulusLength ?? 0) < rsaBitsMin) {
    return `a key of ${details?.modulusLength} bits; ${rsaBitsMin} are the least`
  }
  return undefined
}

const ofType =
  (signMethod: string, parse: (pem: Buffer) => KeyObject) =>
  (pem: Buffer): KeyObject => {
    const key = parse(pem)
    const reason = unfit(signMethod, key)
    if (reason !== undefined) throw new Error(reason)
    return key
  }

const samePublicKey = (a: KeyObject, b: KeyObject): boolean =>
  a.export({ type: "spki", format: "der" }).equals(b.export({ type: "spki", format: "der" }))

const loadKeys = Effect.fnUntraced(function* ({ privateKeyFile, publicKeyFile, signMethod }: AuthTokensJwtOptions) {
  if (signMethod.startsWith("HS")) {
    const secret = yield* loadKey(privateKeyFile ?? "", (bytes) => bytes)
    return { sign: secret, verify: secret } satisfies Keys
  }
  const sign =
    privateKeyFile === undefined ? undefined : yield* loadKey(privateKeyFile, ofType(signMethod, createPrivateKey))
  const given =
    publicKeyFile === undefined ? undefined : yield* loadKey(publicKeyFile, ofType(signMethod, createPublicKey))
  if (sign === undefined) return { sign, verify: given! } satisfies Keys
  const verify = createPublicKey(sign as KeyObject)
  if (given !== undefined && !samePublicKey(given as KeyObject, verify)) {
    return yield* new TokenKeyInvalid({ path: publicKeyFile!, reason: "it does not belong to the private key" })
  }
  return { sign, verify } satisfies Keys
})

const verifiedOf = ({ exp, revision, username }: JWTPayload): Verified | undefined => {
  if (typeof username !== "string" || typeof revision !== "number" || !(revision >= 0)) return undefined
  return { holder: { user: username, authRevision: Math.floor(revision) }, expiresSeconds: exp }
}

export const layer = (options: AuthTokensJwtOptions): Layer.Layer<AuthTokens, TokenKeyInvalid, Log> =>
  Layer.effect(
    AuthTokens,
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const log = yield* Log
      const { signMethod, ttlSeconds } = options
      const keys: Keys = yield* loadKeys(options)
      /** In the order of their check. */
      const verified = new Map<string, Verified>()
      let checks = 0

      const now = (): Date => DateTime.toDateUtc(DateTime.makeUnsafe(clock.currentTimeMillisUnsafe()))
      const isOver = ({ expiresSeconds }: Verified): boolean =>
        expiresSeconds !== undefined && clock.currentTimeMillisUnsafe() >= expiresSeconds * 1_000

      const keep = (token: string, found: Verified): void => {
        if (verified.size >= verifiedMax) verified.delete(verified.keys().next().value!)
        verified.set(token, found)
      }

      const check = (token: string, use: (found: Verified) => void, refuse: () => void): void => {
        checks++
        jwtVerify(token, keys.verify, { algorithms: [signMethod], currentDate: now() }).then(
          ({ payload }) => {
            checks--
            const found = verifiedOf(payload)
            if (found === undefined) return refuse()
            keep(token, found)
            use(found)
          },
          () => {
            checks--
            refuse()
          }
        )
      }

      return AuthTokens.of({
        assign: (user, authRevision, _index, use, fail) => {
          if (keys.sign === undefined) return fail(verifyOnly)
          const expires = Math.floor(clock.currentTimeMillisUnsafe() / 1_000 + ttlSeconds)
          new SignJWT({ username: user, revision: authRevision, exp: expires })
            .setProtectedHeader({ alg: signMethod, typ: "JWT" })
            .sign(keys.sign)
            .then(use, (cause: unknown) => {
              log.error("auth_token_not_signed", { error: reasonOf(cause) })
              fail(etcdError(Code.Internal, `netsy: the token could not be signed: ${reasonOf(cause)}`))
            })
        },
        holder: (token, use, refuse) => {
          const found = verified.get(token)
          if (found !== undefined) {
            if (!isOver(found)) return use(found.holder)
            verified.delete(token)
            return refuse(errors.invalidAuthToken)
          }
          if (token.length > tokenLengthMax) return refuse(errors.invalidAuthToken)
          if (checks >= checksMax) return refuse(errors.tooManyRequests)
          check(
            token,
            ({ holder }) => use(holder),
            () => refuse(errors.invalidAuthToken)
          )
        },
        // A token says itself what it is worth: a missing user or an older revision is seen when it is used.
        forgetUser: () => {},
        forgetAll: () => {}
      })
    })
  )
