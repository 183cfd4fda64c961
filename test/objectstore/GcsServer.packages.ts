/**
 * The conformance suite over an independent implementation of Google's API: fake-gcs-server, in PATH or at
 * `NETSY_FAKE_GCS_SERVER` (`go install github.com/fsouza/fake-gcs-server@v1.56.1`). Not part of `make test`.
 */
import { spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { setTimeout as sleep } from "node:timers/promises"
import { Effect, Layer } from "effect"
import * as ObjectStoreGcs from "../../src/layers/ObjectStoreGcs.ts"
import { freePorts } from "../support/daemon.ts"
import { conformance } from "./conformance.ts"
import { withStorage } from "./support.ts"

const program = process.env["NETSY_FAKE_GCS_SERVER"] ?? "fake-gcs-server"

const start = async (): Promise<{ readonly url: string; readonly stop: () => void }> => {
  const port = (await freePorts(1))[0]!
  const host = `127.0.0.1:${port}`
  const child = spawn(
    program,
    ["-scheme=http", "-backend=memory", "-host=127.0.0.1", `-port=${port}`, `-public-host=${host}`, "-log-level=error"],
    { stdio: "ignore" }
  )
  let failed: Error | undefined
  child.once("error", (error) => (failed = error))
  const url = `http://${host}`
  for (let attempt = 0; attempt < 200; attempt++) {
    if (failed !== undefined) throw failed
    const answer = await fetch(`${url}/storage/v1/b?project=p`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: "bucket" })
    }).catch(() => undefined)
    await answer?.arrayBuffer()
    if (answer?.ok === true) return { url, stop: () => void child.kill("SIGKILL") }
    await sleep(50)
  }
  child.kill("SIGKILL")
  throw new Error(`${program} does not answer on ${url}`)
}

// One server a test, so that each store is empty; a prefix of its own all the same.
conformance(
  "ObjectStoreGcs on fake-gcs-server",
  Layer.unwrap(
    Effect.acquireRelease(Effect.promise(start), ({ stop }) => Effect.sync(stop)).pipe(
      Effect.map(({ url }) =>
        ObjectStoreGcs.layer({ endpoint: url, writeIntervalMillis: 0 }).pipe(
          Layer.provide(withStorage({ provider: "gcs", keyPrefix: `${randomUUID()}/` }))
        )
      )
    )
  ),
  { prefixesFillPages: false }
)
