/** Endpoint and credentials from Google's environment. One file, one process: it changes the environment. */
import { writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, type Scope } from "effect"
import * as ObjectStoreGcs from "../../src/layers/ObjectStoreGcs.ts"
import { gcsEmulator, openStore, withStorage } from "./support.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

const one = new TextEncoder().encode("x")

/** The environment is exactly this (besides what is not Google's) while the scope is open. */
const environment = (variables: Readonly<Record<string, string>>): Effect.Effect<void, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const before = { ...process.env }
      for (const name of Object.keys(process.env)) {
        if (/^(GOOGLE|GCLOUD|CLOUDSDK|STORAGE|GCE)_/.test(name)) delete process.env[name]
      }
      Object.assign(process.env, variables)
      return before
    }),
    (before) => Effect.sync(() => void (process.env = before))
  ).pipe(Effect.asVoid)

const storeOf = (overrides: ObjectStoreGcs.GcsOverrides = {}) =>
  openStore(ObjectStoreGcs.layer(overrides).pipe(Layer.provide(withStorage({ provider: "gcs" }))))

/** A security token service that answers every exchange with this status. */
const tokenServer = (status: number) =>
  Effect.gen(function* () {
    const asked: Array<string> = []
    const server = createServer((request, response) => {
      let body = ""
      request.setEncoding("utf8")
      request.on("data", (piece: string) => void (body += piece))
      request.once("end", () => {
        asked.push(new URLSearchParams(body).get("subject_token") ?? "")
        const token = { access_token: "exchanged", token_type: "Bearer", expires_in: 3600 }
        const refusal = { error: "invalid_grant", error_description: "the token is not to be trusted" }
        response
          .writeHead(status, { "content-type": "application/json" })
          .end(JSON.stringify({ ...(status === 200 ? token : refusal), issued_token_type: "t" }))
      })
    })
    yield* Effect.acquireRelease(
      Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
      () =>
        Effect.sync(() => {
          server.closeAllConnections()
          server.close()
        })
    )
    return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token` }
  })

/** The file that `gcloud iam workload-identity-pools create-cred-config` makes. */
const federation = (tokenUrl: string) =>
  Effect.gen(function* () {
    const folder = yield* temporaryFolder
    writeFileSync(join(folder, "subject"), "header.payload.signature")
    const path = join(folder, "credentials.json")
    const file = {
      type: "external_account",
      audience: "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/p",
      subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
      token_url: tokenUrl,
      credential_source: { file: join(folder, "subject") }
    }
    writeFileSync(path, JSON.stringify(file))
    return path
  })

describe("ObjectStoreGcs and Google's environment", () => {
  it.live("STORAGE_EMULATOR_HOST is an endpoint in every form it is written in, and gets no credentials", () =>
    Effect.gen(function* () {
      const server = yield* gcsEmulator()
      const { host } = new URL(server.url)
      for (const word of [host, server.url, `${server.url}/`, `${server.url}/storage/v1/`]) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* environment({ STORAGE_EMULATOR_HOST: word, GOOGLE_APPLICATION_CREDENTIALS: "/nowhere/at/all" })
            const store = yield* storeOf()
            yield* store.put("k", one)
            assert.strictEqual((yield* store.head("k")).size, 1, word)
          })
        )
      }
      assert.isTrue(server.seen.every(({ headers }) => headers.authorization === undefined))
    })
  )

  it.live(
    "workload identity federation: the subject's token is exchanged once, and every request carries the result",
    () =>
      Effect.gen(function* () {
        const server = yield* gcsEmulator({ authorization: "Bearer exchanged" })
        const tokens = yield* tokenServer(200)
        yield* environment({ GOOGLE_APPLICATION_CREDENTIALS: yield* federation(tokens.url) })
        const store = yield* storeOf({ endpoint: server.url, authenticate: true })
        yield* store.put("k", one, { ifAbsent: true })
        yield* store.put("s", one)
        assert.strictEqual((yield* store.get("k")).body.length, 1)
        assert.strictEqual((yield* store.list({ prefix: "" })).objects.length, 2)
        assert.deepStrictEqual(tokens.asked, ["header.payload.signature"])
      })
  )

  it.live("a subject that is not trusted is Denied, and Google is not asked", () =>
    Effect.gen(function* () {
      const server = yield* gcsEmulator()
      const tokens = yield* tokenServer(400)
      yield* environment({ GOOGLE_APPLICATION_CREDENTIALS: yield* federation(tokens.url) })
      const store = yield* storeOf({ endpoint: server.url, authenticate: true })
      const error = yield* Effect.flip(store.put("k", one))
      assert.strictEqual(error._tag, "Denied")
      assert.match(error.message, /^put k: credentials: .*the token is not to be trusted/)
      assert.strictEqual(server.seen.length, 0)
    })
  )

  it.live("a key file that is not there is Denied, and named", () =>
    Effect.gen(function* () {
      const server = yield* gcsEmulator()
      yield* environment({ GOOGLE_APPLICATION_CREDENTIALS: "/nowhere/at/all.json" })
      const store = yield* storeOf({ endpoint: server.url, authenticate: true })
      const error = yield* Effect.flip(store.get("k"))
      assert.strictEqual(error._tag, "Denied")
      assert.match(error.message, /^get k: credentials: .*\/nowhere\/at\/all\.json/)
    })
  )
})
