/** Region, endpoint, credentials and roles from the AWS environment. One file, one process: it changes the environment. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, type Scope } from "effect"
import * as ObjectStoreS3 from "../../src/layers/ObjectStoreS3.ts"
import type { DevS3 } from "../../src/programs/dev-s3/server.ts"
import { devS3, openStore, withStorage } from "./support.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

/** The environment is exactly this (besides what is not AWS's) while the scope is open. */
const environment = (variables: Readonly<Record<string, string>>): Effect.Effect<void, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const before = { ...process.env }
      for (const name of Object.keys(process.env)) if (name.startsWith("AWS_")) delete process.env[name]
      Object.assign(process.env, { AWS_EC2_METADATA_DISABLED: "true", ...variables })
      return before
    }),
    (before) => Effect.sync(() => void (process.env = before))
  ).pipe(Effect.asVoid)

const fromEnvironment = ObjectStoreS3.layer().pipe(Layer.provide(withStorage()))
const body = new TextEncoder().encode("x")
const keys = { AWS_ACCESS_KEY_ID: "AKIDTEST", AWS_SECRET_ACCESS_KEY: "secret" }
const reachable = (server: DevS3) => ({ AWS_ENDPOINT_URL: server.url, AWS_S3_USE_PATH_STYLE: "true" })

const logged = Effect.gen(function* () {
  const lines: Array<string> = []
  const server = yield* devS3({ log: (line) => void lines.push(line) })
  return { server, lines }
})

describe("ObjectStoreS3 and the AWS environment", () => {
  it.live("endpoint, keys and path style come from the variables; an own endpoint needs no region", () =>
    Effect.gen(function* () {
      const { server } = yield* logged
      yield* environment({ ...keys, ...reachable(server), HOME: yield* temporaryFolder })
      const store = yield* openStore(fromEnvironment)
      yield* store.put("k", body)
      assert.strictEqual(server.counts.get("PutObject"), 1)
    })
  )

  it.live("AWS itself without a region is refused when the store opens", () =>
    Effect.gen(function* () {
      yield* environment({ ...keys, HOME: yield* temporaryFolder })
      const error = yield* Effect.flip(openStore(fromEnvironment))
      assert.strictEqual(error._tag, "Denied")
      assert.strictEqual(error.message, "open s3://bucket/: no region: set AWS_REGION")
    })
  )

  it.live("without credentials a request is Denied and says what is missing", () =>
    Effect.gen(function* () {
      const { server } = yield* logged
      yield* environment({ ...reachable(server), HOME: yield* temporaryFolder, AWS_DEFAULT_REGION: "eu-west-1" })
      const store = yield* openStore(fromEnvironment)
      const error = yield* Effect.flip(store.put("k", body))
      assert.strictEqual(error._tag, "Denied")
      assert.match(error.message, /^put k: credentials: /)
    })
  )

  it.live("AWS_ROLE_ARN is assumed under the name netsy-session before the first request, and only once", () =>
    Effect.gen(function* () {
      const { server } = yield* logged
      const role = { AWS_ROLE_ARN: "arn:aws:iam::123456789012:role/netsy", AWS_REGION: "eu-west-1" }
      yield* environment({ ...keys, ...reachable(server), ...role })
      const store = yield* openStore(fromEnvironment)
      yield* store.put("k", body)
      yield* store.get("k")
      yield* store.put("k2", body, { ifAbsent: true })
      assert.strictEqual(server.counts.get("STS"), 1)
      assert.strictEqual(server.counts.get("PutObject"), 2)
    })
  )

  it.live("a role that may not be assumed is Denied", () =>
    Effect.gen(function* () {
      const { server } = yield* logged
      server.faults.deny = ["sts:AssumeRole"]
      const role = { AWS_ROLE_ARN: "arn:aws:iam::123456789012:role/netsy", AWS_REGION: "eu-west-1" }
      yield* environment({ ...keys, ...reachable(server), ...role })
      const store = yield* openStore(fromEnvironment)
      const error = yield* Effect.flip(store.put("k", body))
      assert.strictEqual(error._tag, "Denied")
      assert.include(error.message, "HTTP 403 AccessDenied")
      assert.isUndefined(server.counts.get("PutObject"))
    })
  )

  it.live("with a web identity token file the SDK's own chain exchanges the token", () =>
    Effect.gen(function* () {
      const { server } = yield* logged
      const token = join(yield* temporaryFolder, "token")
      writeFileSync(token, "header.payload.signature")
      yield* environment({
        ...reachable(server),
        AWS_ROLE_ARN: "arn:aws:iam::123456789012:role/netsy",
        AWS_WEB_IDENTITY_TOKEN_FILE: token,
        AWS_REGION: "eu-west-1"
      })
      const store = yield* openStore(fromEnvironment)
      yield* store.put("k", body)
      assert.strictEqual(server.counts.get("STS"), 1)
    })
  )

  it.live("path style is used only when the variable is exactly true", () =>
    Effect.gen(function* () {
      const { server } = yield* logged
      // A name, since addresses always get path style.
      const AWS_ENDPOINT_URL = server.url.replace("127.0.0.1", "localhost")
      yield* environment({ ...keys, AWS_ENDPOINT_URL, AWS_S3_USE_PATH_STYLE: "1", AWS_REGION: "eu-west-1" })
      const store = yield* openStore(fromEnvironment)
      const error = yield* Effect.flip(store.put("k", body, { ifAbsent: true }))
      // Virtual-hosted style: the bucket is in the host name, which dev-s3 does not look at, if it is found at all.
      assert.include(["Unavailable", "Denied"], error._tag)
      assert.isUndefined(server.counts.get("PutObject"))
    })
  )
})
