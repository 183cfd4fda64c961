/** A service of one's own on Netsy, and its test: the same service over memory, in virtual time. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Client, type ClientError, Netsy } from "netsy"

const Session = Schema.Struct({ user: Schema.String })

class Sessions extends Context.Service<
  Sessions,
  {
    readonly begin: (token: string, user: string) => Effect.Effect<void, ClientError | Schema.SchemaError>
    /** Undefined: there is none, or no longer. */
    readonly userOf: (token: string) => Effect.Effect<string | undefined, ClientError | Schema.SchemaError>
  }
>()("app/Sessions") {}

/** Needs a `Client`, whichever node it belongs to. */
const sessions = Layer.effect(
  Sessions,
  Effect.gen(function* () {
    const client = yield* Client
    const store = client.json(Session)
    return Sessions.of({
      begin: Effect.fnUntraced(function* (token, user) {
        const lease = yield* client.grant("30 minutes")
        yield* store.put(`sessions/${token}`, { user }, { lease })
      }),
      userOf: (token) => Effect.map(store.get(`sessions/${token}`), (found) => found?.value.user)
    })
  })
)

/** As it runs: `program.pipe(Effect.provide(live))`. */
export const live = sessions.pipe(
  Layer.provide(Netsy.layer({ storage: "s3://my-bucket/app", dataDir: "/var/lib/app" }))
)

const test = sessions.pipe(Layer.provide(Netsy.layerMemory()))

describe("sessions", () => {
  it.effect("end after half an hour", () =>
    Effect.gen(function* () {
      const { begin, userOf } = yield* Sessions
      yield* begin("t1", "ada")
      yield* TestClock.adjust("29 minutes")
      assert.strictEqual(yield* userOf("t1"), "ada")
      yield* TestClock.adjust("2 minutes")
      assert.isUndefined(yield* userOf("t1"))
    }).pipe(Effect.provide(test))
  )
})
