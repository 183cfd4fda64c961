/** On an EC2 instance with nothing but a role the region comes from the instance's metadata. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { connect } from "../../src/layers/objectstore/s3Client.ts"

/** IMDSv2: what it says without a token is 401. */
const metadata = Effect.acquireRelease(
  Effect.promise(async () => {
    const server = createServer((request, response) => {
      if (request.method === "PUT" && request.url === "/latest/api/token") return void response.end("token")
      if (request.headers["x-aws-ec2-metadata-token"] !== "token") return void response.writeHead(401).end()
      if (request.url === "/latest/meta-data/placement/region") return void response.end("eu-south-7")
      return void response.writeHead(404).end()
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    return server
  }),
  (server) =>
    Effect.promise(async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    })
)

const credentials = { accessKeyId: "test", secretAccessKey: "test" }
const regionWith = (environment: NodeJS.ProcessEnv) =>
  Effect.promise(async () => {
    try {
      const { once, retrying } = await connect({ credentials }, environment)
      return [await retrying.config.region(), await once.config.region()].join(" ")
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  })

describe("the region", () => {
  it.live("is the instance's where nothing names one, and only there", () =>
    Effect.gen(function* () {
      const server = yield* metadata
      const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
      const onInstance = { AWS_EC2_METADATA_SERVICE_ENDPOINT: endpoint }
      assert.strictEqual(yield* regionWith(onInstance), "eu-south-7 eu-south-7")
      assert.strictEqual(yield* regionWith({ ...onInstance, AWS_REGION: "eu-north-8" }), "eu-north-8 eu-north-8")
      const disabled = yield* regionWith({ ...onInstance, AWS_EC2_METADATA_DISABLED: "true" })
      assert.strictEqual(disabled, "no region: set AWS_REGION")
      const nowhere = yield* regionWith({ AWS_EC2_METADATA_SERVICE_ENDPOINT: "http://127.0.0.1:9/" })
      assert.strictEqual(nowhere, "no region: set AWS_REGION")
    })
  )
})
