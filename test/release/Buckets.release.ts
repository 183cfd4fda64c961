/** The release executable with the clients of S3 and Google Cloud Storage that are bundled into it. */
import { rmSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { startDevS3Process } from "../kube/devS3.ts"
import { gcsEmulator } from "../objectstore/support.ts"
import { startDaemon } from "../support/daemon.ts"
import { etcdctl } from "../support/etcdctl.ts"
import { ownExecutable } from "./support/files.ts"

/** Writes, loses its disk, and reads again from the bucket what it wrote. */
const writesAndReads = async (storage: string, env: Readonly<Record<string, string>>): Promise<void> => {
  const data = { NETSY_REPLICATION_STORE_LEASE: "4s", ...env }
  const daemon = await startDaemon({ program: "netsy", executable: ownExecutable(), storage, env: data })
  try {
    assert.strictEqual((await etcdctl(daemon, ["put", "k", "v"])).stdout, "OK\n", daemon.logs())
    assert.strictEqual(await daemon.stop(), 0, daemon.logs())
    rmSync(join(daemon.directory, "data"), { recursive: true })
    await daemon.start()
    assert.strictEqual((await etcdctl(daemon, ["get", "k"])).stdout, "k\nv\n", daemon.logs())
  } finally {
    await daemon.release()
  }
}

describe("the release executable on a bucket", () => {
  it("writes to S3 and reads it again", { timeout: 120_000 }, async () => {
    const s3 = await startDevS3Process("5ms,10ms", 1)
    try {
      await writesAndReads(s3.storage, s3.env)
    } finally {
      await s3.release()
    }
  })

  it.live(
    "writes to Google Cloud Storage and reads it again",
    () =>
      Effect.gen(function* () {
        const server = yield* gcsEmulator()
        const host = new URL(server.url).host
        yield* Effect.promise(() => writesAndReads("gs://bucket/some/prefix", { STORAGE_EMULATOR_HOST: host }))
      }),
    120_000
  )
})
