/** bcrypt: its texts, its limits, and how many are made at a time. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Code, type EtcdError, errors } from "../../src/core/wire/errors.ts"
import * as PasswordsBcrypt from "../../src/layers/PasswordsBcrypt.ts"
import * as SettingsValue from "../../src/layers/SettingsValue.ts"
import { Passwords } from "../../src/services/Passwords.ts"
import { embeddedSettings } from "../config/embedded.ts"

const layer = PasswordsBcrypt.layer.pipe(
  Layer.provide(SettingsValue.layer(embeddedSettings({ NETSY_AUTH_BCRYPT_COST: "4" })))
)

const hash = (password: string) =>
  Passwords.use((passwords) =>
    Effect.callback<Uint8Array, EtcdError>((resume) =>
      passwords.hash(password, {
        succeed: (found) => resume(Effect.succeed(found)),
        fail: (error) => resume(Effect.fail(error))
      })
    )
  )

const matches = (password: string, hashed: Uint8Array | string) =>
  Passwords.use((passwords) =>
    Effect.callback<boolean, EtcdError>((resume) =>
      passwords.matches(password, Buffer.from(hashed), {
        succeed: (found) => resume(Effect.succeed(found)),
        fail: (error) => resume(Effect.fail(error))
      })
    )
  )

describe("passwords", () => {
  it.live("are texts as etcd writes them, salted, at the cost of the settings", () =>
    Effect.gen(function* () {
      const one = yield* hash("pw")
      assert.match(Buffer.from(one).toString(), /^\$2a\$04\$[./A-Za-z0-9]{53}$/)
      assert.notDeepEqual(yield* hash("pw"), one)
      assert.isTrue(yield* matches("pw", one))
      assert.isFalse(yield* matches("pW", one))
      assert.isFalse(yield* matches("", one))
    }).pipe(Effect.provide(layer))
  )

  it.live("that etcd has hashed are known too, and nothing fits what is no hash", () =>
    Effect.gen(function* () {
      // From the database of Debian's etcd.
      assert.isTrue(yield* matches("pw", "$2a$10$pu1ralf6GR6oXUA3R.ibNe2LdHFcv/G59dVshRpzQqq9eg3jo/3Jq"))
      assert.isFalse(yield* matches("pw", "$2a$10$"))
      assert.isFalse(yield* matches("pw", "no hash"))
      assert.isFalse(yield* matches("", ""))
    }).pipe(Effect.provide(layer))
  )

  it.live("count with every byte up to 72, and are refused above", () =>
    Effect.gen(function* () {
      assert.isFalse(yield* matches("a\0b", yield* hash("a\0c")))
      assert.isFalse(yield* matches("a", yield* hash("a\0")))
      assert.isTrue(yield* matches("pässwörd", yield* hash("pässwörd")))
      const longest = "x".repeat(72)
      const hashed = yield* hash(longest)
      assert.isTrue(yield* matches(longest, hashed))
      assert.isFalse(yield* matches(longest.slice(1), hashed))
      assert.isTrue(yield* matches(longest + "y".repeat(1_000), hashed))
      const error = yield* Effect.flip(hash(longest + "x"))
      assert.deepStrictEqual([error.code, error.message], [Code.Unknown, "bcrypt: password length exceeds 72 bytes"])
      assert.strictEqual((yield* Effect.flip(hash("ä".repeat(37)))).message, error.message)
      assert.isTrue(yield* matches("", yield* hash("")))
    }).pipe(Effect.provide(layer))
  )

  it.live("wait in a short queue; whoever finds it full is told at once", () =>
    Effect.gen(function* () {
      const passwords = yield* Passwords
      const outcomes: Array<boolean | EtcdError> = []
      const all = Effect.callback<void>((resume) => {
        const done = (outcome: boolean | EtcdError): void => {
          outcomes.push(outcome)
          if (outcomes.length === 100) resume(Effect.void)
        }
        for (let i = 0; i < 100; i++) {
          passwords.hash("pw", { succeed: () => done(true), fail: done })
        }
      })
      yield* all
      const refused = outcomes.filter((outcome) => outcome !== true)
      assert.strictEqual(refused.length, 100 - 3 - 64)
      // They are told while nothing is ready yet.
      assert.deepStrictEqual(
        outcomes.slice(0, refused.length),
        refused.map(() => errors.tooManyRequests)
      )
      assert.isTrue(yield* matches("pw", yield* hash("pw")))
    }).pipe(Effect.provide(layer))
  )
})
