/** The election port of a node. */
import { get as httpGet } from "node:http"
import { request as httpsRequest } from "node:https"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as ElectionListenerHttp from "../../src/layers/ElectionListenerHttp.ts"
import * as LogMemory from "../../src/layers/LogMemory.ts"
import * as SettingsValue from "../../src/layers/SettingsValue.ts"
import { ElectionListener } from "../../src/services/ElectionListener.ts"
import type { Identity } from "../../src/services/Identity.ts"
import { type Leader, Leadership } from "../../src/services/Leadership.ts"
import { certs, plain, secure } from "./certs.ts"
import { settings } from "./fakes.ts"

const ground = (identity: Layer.Layer<Identity>) =>
  Layer.mergeAll(identity, SettingsValue.layer(settings), LogMemory.layer())

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

const election = (leader: () => Leader | undefined, identity: Layer.Layer<Identity>) =>
  ElectionListenerHttp.layer.pipe(
    Layer.provide(Layer.merge(Layer.succeed(Leadership, Leadership.of({ current: leader })), ground(identity)))
  )

const ask = (path: string, method = "GET") =>
  Effect.gen(function* () {
    const { address } = yield* ElectionListener
    return yield* Effect.promise(async (): Promise<Answer> => {
      const response = await fetch(`http://127.0.0.1:${address.port}${path}`, { method })
      return {
        status: response.status,
        type: response.headers.get("content-type") ?? "",
        body: await response.text()
      }
    })
  })

const leader: Leader = { leaderID: "dev-node-1", leaderAddr: "127.0.0.1:8443" }

describe("ElectionListenerHttp", () => {
  it.live("tells who leads, as of now, while this node does", () => {
    let current: Leader | undefined = leader
    return Effect.gen(function* () {
      const before = Date.now()
      const { body, status, type } = yield* ask("/health/leadership")
      assert.strictEqual(status, 200)
      assert.strictEqual(type, "application/json")
      const { lastUpdated, ...rest } = JSON.parse(body) as Leader & { readonly lastUpdated: string }
      assert.deepStrictEqual(rest, leader)
      assert.isAtLeast(Date.parse(lastUpdated), before)
      current = undefined
      const not = yield* ask("/health/leadership")
      assert.deepStrictEqual([not.status, not.body.trim()], [404, "Not leader"])
    }).pipe(Effect.provide(election(() => current, plain)))
  })

  it.live("refuses other methods with 405 and other paths with 404", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* ask("/health/leadership", "POST")).status, 405)
      for (const path of ["/", "/health", "/health/leadership/", "//", "/%zz", "/health/leadership%00"]) {
        assert.strictEqual((yield* ask(path)).status, 404, path)
      }
    }).pipe(Effect.provide(election(() => leader, plain)))
  )

  it.live("with TLS it asks for no client certificate and takes TLS 1.2", () =>
    Effect.gen(function* () {
      const made = yield* certs
      yield* Effect.gen(function* () {
        const { address } = yield* ElectionListener
        for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
          const status = yield* Effect.promise(
            () =>
              new Promise<number>((resolve, reject) => {
                const options = {
                  port: address.port,
                  host: "localhost",
                  family: 4,
                  ca: made.ca,
                  maxVersion,
                  agent: false
                }
                const request = httpsRequest({ ...options, path: "/health/leadership" }, (response) => {
                  response.resume()
                  resolve(response.statusCode ?? 0)
                })
                request.on("error", reject)
                request.end()
              })
          )
          assert.strictEqual(status, 200)
        }
        // Plain text on it is closed on.
        const failed = yield* Effect.promise(
          () =>
            new Promise<boolean>((resolve) => {
              httpGet({ port: address.port, path: "/", agent: false }, () => resolve(false)).on("error", () =>
                resolve(true)
              )
            })
        )
        assert.isTrue(failed)
      }).pipe(Effect.provide(election(() => leader, secure(made).layer)))
    })
  )
})
