/** Simple tokens in virtual time; signed ones with every method, also against a plain verifier. */
import { createHmac, generateKeyPairSync, type KeyObject, verify } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { type Duration, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { type EtcdError, errors } from "../../src/core/wire/errors.ts"
import * as AuthTokensJwt from "../../src/layers/AuthTokensJwt.ts"
import * as AuthTokensSimple from "../../src/layers/AuthTokensSimple.ts"
import * as LogMemory from "../../src/layers/LogMemory.ts"
import { AuthTokens, type TokenHolder } from "../../src/services/AuthTokens.ts"

const assign = (user: string, revision = 3, index = 17) =>
  AuthTokens.use((tokens) =>
    Effect.callback<string, EtcdError>((resume) =>
      tokens.assign(
        user,
        revision,
        index,
        (token) => resume(Effect.succeed(token)),
        (error) => resume(Effect.fail(error))
      )
    )
  )

const holder = (token: string) =>
  AuthTokens.use((tokens) =>
    Effect.callback<TokenHolder, EtcdError>((resume) =>
      tokens.holder(
        token,
        (found) => resume(Effect.succeed(found)),
        (error) => resume(Effect.fail(error))
      )
    )
  )

/** What is known without waiting: undefined where it must be checked first. */
const holderAtOnce = (token: string) =>
  AuthTokens.use((tokens) =>
    Effect.sync(() => {
      let found: TokenHolder | undefined
      tokens.holder(
        token,
        (value) => {
          found = value
        },
        () => {}
      )
      return found
    })
  )

const isRefused = (token: string) =>
  Effect.map(Effect.flip(holder(token)), (error) => assert.deepStrictEqual(error, errors.invalidAuthToken))

const pass = (duration: Duration.Input) => TestClock.adjust(duration)

const secretFolder = mkdtempSync(join(tmpdir(), "netsy-jwt-"))
afterAll(() => rmSync(secretFolder, { recursive: true, force: true }))

const signed = ({ ttlSeconds }: { readonly ttlSeconds: number }) => {
  const privateKeyFile = join(secretFolder, "secret")
  writeFileSync(privateKeyFile, "a secret")
  const options = { signMethod: "HS256", ttlSeconds, publicKeyFile: undefined, privateKeyFile }
  return AuthTokensJwt.layer(options).pipe(Layer.provide(LogMemory.layer([])))
}

describe("simple tokens", () => {
  const simple = AuthTokensSimple.layer({ ttlSeconds: 300 })

  it.effect("are 16 letters, a dot and the log index, each another", () =>
    Effect.gen(function* () {
      const token = yield* assign("alice")
      assert.match(token, /^[a-zA-Z]{16}\.17$/)
      assert.notStrictEqual(yield* assign("alice"), token)
      assert.deepStrictEqual(yield* holderAtOnce(token), { user: "alice", authRevision: undefined })
      yield* isRefused(token.toLowerCase().toUpperCase())
      yield* isRefused("")
    }).pipe(Effect.provide(simple))
  )

  it.effect("live for their time since they were last used", () =>
    Effect.gen(function* () {
      const [used, idle] = [yield* assign("alice"), yield* assign("alice")]
      for (let i = 0; i < 5; i++) {
        yield* pass("200 seconds")
        assert.strictEqual((yield* holder(used)).user, "alice")
      }
      yield* isRefused(idle)
      yield* pass("300 seconds")
      assert.strictEqual((yield* holder(used)).user, "alice")
      yield* pass("300001 millis")
      yield* isRefused(used)
    }).pipe(Effect.provide(simple))
  )

  it.effect("end with the user, or all together", () =>
    Effect.gen(function* () {
      const tokens = yield* AuthTokens
      const [a1, a2, b] = [yield* assign("a"), yield* assign("a"), yield* assign("b")]
      tokens.forgetUser("a")
      yield* isRefused(a1)
      yield* isRefused(a2)
      assert.strictEqual((yield* holder(b)).user, "b")
      tokens.forgetAll()
      yield* isRefused(b)
    }).pipe(Effect.provide(simple))
  )

  it.effect("are bounded in number: the one that was unused for longest goes", () =>
    Effect.gen(function* () {
      const first = yield* assign("first")
      const second = yield* assign("second")
      yield* pass("2 seconds")
      yield* holder(first)
      for (let i = 2; i < 100_001; i++) yield* assign("many")
      yield* isRefused(second)
      assert.strictEqual((yield* holder(first)).user, "first")
    }).pipe(Effect.provide(simple))
  )
})

describe.each([
  ["simple", AuthTokensSimple.layer({ ttlSeconds: 60 })],
  ["signed", signed({ ttlSeconds: 60 })]
])("%s tokens, as every kind,", (_, layer) => {
  it.effect("name their user until their time is over, and nothing else is one", () =>
    Effect.gen(function* () {
      const [alice, bob] = [yield* assign("alice"), yield* assign("bob")]
      assert.strictEqual((yield* holder(alice)).user, "alice")
      assert.strictEqual((yield* holder(bob)).user, "bob")
      for (const token of ["", ".", "..", "x", "a.b.c", "abcdefghijklmnop.17", alice + "x", bob.slice(1)]) {
        yield* isRefused(token)
      }
      yield* pass("59 seconds")
      assert.strictEqual((yield* holder(alice)).user, "alice")
      yield* pass("61 seconds")
      yield* isRefused(alice)
      yield* isRefused(bob)
    }).pipe(Effect.provide(layer))
  )
})

describe("signed tokens", () => {
  const folder = mkdtempSync(join(tmpdir(), "netsy-jwt-"))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  let files = 0
  const file = (content: string | Buffer): string => {
    const path = join(folder, `key-${files++}.pem`)
    writeFileSync(path, content)
    return path
  }
  const pair = ({ privateKey, publicKey }: { readonly privateKey: KeyObject; readonly publicKey: KeyObject }) => ({
    privateKeyFile: file(privateKey.export({ type: "pkcs8", format: "pem" })),
    publicKeyFile: file(publicKey.export({ type: "spki", format: "pem" })),
    publicKey
  })
  const rsa = pair(generateKeyPairSync("rsa", { modulusLength: 2048 }))
  const secret = Buffer.from("a secret of some length that nobody knows but the nodes of the cluster, all of them")
  const keys: Readonly<Record<string, ReturnType<typeof pair>>> = {
    RS: rsa,
    PS: rsa,
    ES256: pair(generateKeyPairSync("ec", { namedCurve: "P-256" })),
    ES384: pair(generateKeyPairSync("ec", { namedCurve: "P-384" })),
    ES512: pair(generateKeyPairSync("ec", { namedCurve: "P-521" })),
    EdDSA: pair(generateKeyPairSync("ed25519"))
  }
  const secretFile = file(secret)
  const keysOf = (signMethod: string) => keys[signMethod] ?? keys[signMethod.slice(0, 2)]

  const jwt = (signMethod: string, options: Partial<AuthTokensJwt.AuthTokensJwtOptions> = {}) =>
    AuthTokensJwt.layer({
      signMethod,
      ttlSeconds: 600,
      publicKeyFile: keysOf(signMethod)?.publicKeyFile,
      privateKeyFile: keysOf(signMethod)?.privateKeyFile ?? secretFile,
      ...options
    }).pipe(Layer.provide(LogMemory.layer([])))

  const json = (part: string | undefined): unknown => JSON.parse(Buffer.from(part!, "base64url").toString())
  const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url")

  /** Signed by hand, as another node or etcd would. */
  const hs256 = (claims: unknown, header: unknown = { alg: "HS256", typ: "JWT" }, key = secret): string => {
    const signed = `${base64(header)}.${base64(claims)}`
    return `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`
  }

  for (const signMethod of [
    ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
    ...["ES256", "ES384", "ES512", "HS256", "HS384", "HS512", "EdDSA"]
  ]) {
    it.effect(`of ${signMethod} carry user, revision and end, and are known again by another node`, () =>
      Effect.gen(function* () {
        yield* pass("1000 seconds")
        const token = yield* assign("alice").pipe(Effect.provide(jwt(signMethod)))
        const [header, claims] = token.split(".")
        assert.deepInclude(json(header), { alg: signMethod, typ: "JWT" })
        assert.deepStrictEqual(json(claims), { username: "alice", revision: 3, exp: 1600 })
        yield* Effect.gen(function* () {
          assert.strictEqual(yield* holderAtOnce(token), undefined)
          assert.deepStrictEqual(yield* holder(token), { user: "alice", authRevision: 3 })
          assert.deepStrictEqual(yield* holderAtOnce(token), { user: "alice", authRevision: 3 })
          yield* isRefused(token.slice(0, -4) + (token.endsWith("AAAA") ? "BBBB" : "AAAA"))
          yield* pass("599999 millis")
          assert.strictEqual((yield* holder(token)).user, "alice")
          yield* pass("1 millis")
          yield* isRefused(token)
        }).pipe(Effect.provide(jwt(signMethod, signMethod.startsWith("HS") ? {} : { privateKeyFile: undefined })))
      })
    )
  }

  it.effect("of EdDSA are what others verify", () =>
    Effect.gen(function* () {
      const [header, claims, signature] = (yield* assign("alice")).split(".")
      const key = keys["EdDSA"]!.publicKey
      assert.isTrue(verify(null, Buffer.from(`${header}.${claims}`), key, Buffer.from(signature!, "base64url")))
    }).pipe(Effect.provide(jwt("EdDSA")))
  )

  it.effect("are taken from others that have the key, and refused with any other key, method or claim", () =>
    Effect.gen(function* () {
      yield* pass("1000 seconds")
      const good = { username: "bob", revision: 5, exp: 1001 }
      assert.deepStrictEqual(yield* holder(hs256(good)), { user: "bob", authRevision: 5 })
      assert.deepStrictEqual(yield* holder(hs256({ username: "bob", revision: 5 })), { user: "bob", authRevision: 5 })
      const refused = [
        hs256({ ...good, exp: 1000 }),
        hs256({ ...good, nbf: 2000 }),
        hs256({ ...good, username: 7 }),
        hs256({ username: "bob", exp: 1001 }),
        hs256({ ...good, revision: "5" }),
        hs256({ ...good, revision: -1 }),
        hs256(good, { alg: "HS384", typ: "JWT" }),
        hs256(good, { alg: "none" }),
        `${base64({ alg: "none" })}.${base64(good)}.`,
        hs256(good, undefined, Buffer.from("another secret, which is as long as the first one, or nearly so")),
        hs256({ ...good, more: "x".repeat(9_000) }),
        "a.b.c",
        "abcdefghijklmnop.17",
        ""
      ]
      for (const token of refused) yield* isRefused(token)
    }).pipe(Effect.provide(jwt("HS256")))
  )

  it.effect("are not confused by the public key taken for a secret", () =>
    Effect.gen(function* () {
      const pem = rsa.publicKey.export({ type: "spki", format: "pem" })
      yield* isRefused(hs256({ username: "root", revision: 9, exp: 2e9 }, undefined, Buffer.from(pem)))
    }).pipe(Effect.provide(jwt("RS256")))
  )

  it.effect("are made with a secret of any length", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* holder(yield* assign("alice"))).user, "alice")
    }).pipe(Effect.provide(jwt("HS512", { privateKeyFile: file("s") })))
  )

  it.effect("are checked a few at a time; whoever comes when too many wait is told at once", () =>
    Effect.gen(function* () {
      const tokens = yield* AuthTokens
      const seen: Array<string> = []
      yield* Effect.callback<void>((resume) => {
        for (let i = 0; i < 300; i++) {
          const told = (what: string) => () => {
            seen.push(what)
            if (seen.length === 300) resume(Effect.void)
          }
          tokens.holder(hs256({ username: `u${i}`, revision: 5 }), told("known"), ({ message }) => told(message)())
        }
      })
      assert.deepStrictEqual(seen.slice(0, 44), Array<string>(44).fill(errors.tooManyRequests.message))
      assert.deepStrictEqual(seen.slice(44), Array<string>(256).fill("known"))
      assert.strictEqual((yield* holder(hs256({ username: "u299", revision: 5 }))).user, "u299")
    }).pipe(Effect.provide(jwt("HS256")))
  )

  it.effect("are checked but not made with the public key alone", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(assign("alice"))
      assert.strictEqual(error.message, "auth: token signing attempted with verify-only key")
    }).pipe(Effect.provide(jwt("RS256", { privateKeyFile: undefined })))
  )

  it.effect("need keys that fit, and say which file does not", () =>
    Effect.gen(function* () {
      const { privateKeyFile } = keys["ES384"]!
      const cases: ReadonlyArray<readonly [Layer.Layer<AuthTokens, unknown>, RegExp]> = [
        [jwt("RS256", { privateKeyFile: join(folder, "missing.pem") }), /missing\.pem: ENOENT/],
        [jwt("RS256", { privateKeyFile: file("nonsense") }), /key-\d+\.pem: /],
        [jwt("HS256", { privateKeyFile: file("") }), /key-\d+\.pem: the file is empty/],
        [jwt("RS256", { privateKeyFile: privateKeyFile! }), /RS256 needs a key of type rsa, this one is ec/],
        [
          jwt("ES256", { privateKeyFile: privateKeyFile!, publicKeyFile: undefined }),
          /ES256 needs the curve prime256v1, this one is secp384r1/
        ],
        [
          jwt("PS256", {
            privateKeyFile: undefined,
            publicKeyFile: pair(generateKeyPairSync("rsa", { modulusLength: 1024 })).publicKeyFile
          }),
          /a key of 1024 bits; 2048 are the least/
        ],
        [
          jwt("RS256", { publicKeyFile: pair(generateKeyPairSync("rsa", { modulusLength: 2048 })).publicKeyFile }),
          /does not belong to the private key/
        ]
      ]
      for (const [layer, message] of cases) {
        const error = yield* Effect.flip(Effect.provide(AuthTokens, layer))
        assert.match(String((error as Error).message), message)
      }
    })
  )
})
