/** The daemon on Google Cloud Storage: an emulator that refuses a second write of an object within a second. */
import { execFile } from "node:child_process"
import { rmSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { commands } from "../etcdctl/command.ts"
import { type Daemon, startDaemon } from "../support/daemon.ts"
import type { GcsEmulator } from "./gcsEmulator.ts"
import { gcsEmulator } from "./support.ts"

const netsy = join(import.meta.dirname, "../../bin/netsy")

const daemonOn = (server: GcsEmulator) =>
  Effect.acquireRelease(
    Effect.promise(() =>
      startDaemon({
        program: "netsy",
        storage: "gs://bucket/some/prefix",
        env: { STORAGE_EMULATOR_HOST: new URL(server.url).host, NETSY_REPLICATION_STORE_LEASE: "4s" }
      })
    ),
    (daemon) => Effect.promise(() => daemon.release())
  )

const diskLost = (daemon: Daemon): void => rmSync(join(daemon.directory, "data"), { recursive: true })

describe("a daemon on Google Cloud Storage", () => {
  it.live(
    "killed while answers get lost, and bereft of its disk, it comes back with everything it acknowledged",
    () =>
      Effect.gen(function* () {
        const server = yield* gcsEmulator({ writeIntervalMillis: 1000 })
        // Of every fourth write the answer is lost, every fifth finds the store busy.
        server.fault = ({ operation }, before) => {
          if (operation !== "put" || before < 4) return undefined
          return before % 4 === 0 ? "lose" : before % 5 === 0 ? { status: 503 } : undefined
        }
        const daemon = yield* daemonOn(server)
        const { run } = commands(daemon)
        for (let i = 0; i < 12; i++) yield* Effect.promise(() => run("put", `key-${i}`, `value-${i}`))
        yield* Effect.promise(() => run("del", "key-3"))
        yield* Effect.promise(() => daemon.kill9())
        diskLost(daemon)
        server.fault = () => undefined
        yield* Effect.promise(() => daemon.start())
        const found = yield* Effect.promise(() => run("get", "key-", "--prefix", "--print-value-only"))
        const expected = Array.from({ length: 12 }, (_, i) => i).filter((i) => i !== 3)
        assert.deepStrictEqual(
          found
            .split("\n")
            .filter((line) => line !== "")
            .toSorted(),
          expected.map((i) => `value-${i}`).toSorted()
        )
        yield* Effect.promise(() => run("put", "after", "1"))
        assert.strictEqual(yield* Effect.promise(() => daemon.stop()), 0)
        for (const name of server.objects.keys()) assert.isTrue(name.startsWith("some/prefix/"), name)

        const chunk = [...server.objects.keys()].find((name) => name.startsWith("some/prefix/chunks/"))!
        const { stdout } = yield* Effect.promise(() =>
          promisify(execFile)(
            netsy,
            ["inspect", "--storage", "gs://bucket/some/prefix", chunk.slice("some/prefix/".length)],
            { env: { ...process.env, STORAGE_EMULATOR_HOST: server.url } }
          )
        )
        assert.include(stdout, '{"verdict":"ok"')
      }),
    120_000
  )
})
