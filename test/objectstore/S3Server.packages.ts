/**
 * The conformance suite over an independent implementation of Amazon's API: Versity's S3 gateway over a directory, in
 * PATH or at `NETSY_VERSITYGW` (`go install github.com/versity/versitygw/cmd/versitygw@v1.8.0`). Not part of `make test`.
 */
import { spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { Effect, Layer } from "effect"
import * as ObjectStoreS3 from "../../src/layers/ObjectStoreS3.ts"
import { freePorts } from "../support/daemon.ts"
import { conformance } from "./conformance.ts"
import { withStorage } from "./support.ts"

const program = process.env["NETSY_VERSITYGW"] ?? "versitygw"
const install = "go install github.com/versity/versitygw/cmd/versitygw@v1.8.0"
const credentials = { accessKeyId: "test", secretAccessKey: "test-secret" }

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port })
    socket.once("connect", () => {
      socket.destroy()
      resolve(true)
    })
    socket.once("error", () => resolve(false))
  })

const start = async (): Promise<{ readonly url: string; readonly stop: () => void }> => {
  const port = (await freePorts(1))[0]!
  const directory = mkdtempSync(join(tmpdir(), "netsy-versitygw-"))
  // A folder is a bucket. What belongs to an object stands in its extended attributes, which most file systems have.
  mkdirSync(join(directory, "bucket"))
  const child = spawn(
    program,
    [
      ...["--access", credentials.accessKeyId, "--secret", credentials.secretAccessKey, "--quiet", "--keep-alive"],
      ...["--port", `127.0.0.1:${port}`, "posix", directory]
    ],
    { stdio: "ignore" }
  )
  const stop = (): void => {
    child.kill("SIGKILL")
    rmSync(directory, { recursive: true, force: true })
  }
  let failed: Error | undefined
  child.once("error", (error) => (failed = new Error(`${error.message}. To install it: ${install}`)))
  child.once("exit", (code) => (failed ??= new Error(`${program} ended with ${code}`)))
  for (let attempt = 0; attempt < 200; attempt++) {
    if (failed !== undefined) {
      stop()
      throw failed
    }
    if (await listens(port)) return { url: `http://127.0.0.1:${port}`, stop }
    await sleep(50)
  }
  stop()
  throw new Error(`${program} does not listen on port ${port}`)
}

// One server a test, so that each store is empty.
conformance(
  "ObjectStoreS3 on versitygw",
  Layer.unwrap(
    Effect.acquireRelease(Effect.promise(start), ({ stop }) => Effect.sync(stop)).pipe(
      Effect.map(({ url }) =>
        ObjectStoreS3.layer({ endpoint: url, region: "us-east-1", pathStyle: true, credentials }).pipe(
          Layer.provide(withStorage({ keyPrefix: "some/pre fix/" }))
        )
      )
    )
  )
)
