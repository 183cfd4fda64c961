/** Options: every setting has one, and all mistakes are told at once. */
import { assert, describe, it } from "@effect/vitest"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ConfigProvider, Duration, Effect } from "effect"
import { type FileKey, fileKeys } from "../../src/core/config/fields.ts"
import type { DaemonOptions, StorageOptions } from "../../src/programs/embed/options.ts"
import { settingsOf, variables } from "../../src/programs/embed/settings.ts"
import { Client, Netsy } from "../../src/index.ts"

type Camel<S extends string> = S extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}` : S
type Plain = string | number | boolean | ReadonlyArray<unknown>
/** Options that may be a text, a number or a switch; the others are groups. */
type Leaves<T, Before extends string> = {
  [K in keyof T & string]-?: Extract<T[K], Plain> extends never ? never : `${Before}${K}`
}[keyof T & string]
type Given = Omit<DaemonOptions, "storage" | "s3" | "gcs">
type Replication = NonNullable<DaemonOptions["replication"]>
type Option =
  | Leaves<Given, "">
  | { [G in keyof Given & string]: Leaves<NonNullable<Given[G]>, `${G}.`> }[keyof Given & string]
  | Leaves<NonNullable<Replication["chunkBuffer"]>, "replication.chunkBuffer.">
  | Leaves<StorageOptions, "storage.">

/** A setting of the file without an option of its name does not compile here. */
const named = (key: Camel<FileKey> & Option): string => key
const allNamed: (key: Camel<FileKey>) => string = named

const resolve = (options: Partial<DaemonOptions>, ports = false) => settingsOf({ options, ports })

describe("the options", () => {
  it("name every setting of the file", () => {
    assert.isFunction(allNamed)
    const camel = (key: string): string => key.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
    assert.deepStrictEqual(
      fileKeys.filter((key) => !variables.has(camel(key))),
      []
    )
  })

  it.effect("give the settings that the file would", () =>
    Effect.gen(function* () {
      const settings = yield* resolve({
        storage: "s3://bucket/prefix",
        dataDir: "/data",
        nodeId: "n-1",
        clusterId: "c-1",
        heartbeatInterval: "500 millis",
        elector: { degradationCount: 3, deregistrationTimeout: Duration.minutes(1), primaryPriorTimeout: 2_000 },
        replication: { quorum: 1, storeLease: "1s", chunkBuffer: { thresholdSizeMb: 8 } },
        snapshot: { keep: 5, history: { hours: 1 }, cleanupStrategy: "list" },
        limits: { maxTxnOps: 7 },
        autoCompaction: { mode: "revision", retention: 1_000 },
        lease: { minTtl: "5 seconds" },
        watch: { progressInterval: "1m30s" }
      })
      assert.deepInclude(settings.storage, { provider: "s3", bucketName: "bucket", keyPrefix: "prefix/" })
      assert.deepStrictEqual([settings.nodeId, settings.clusterId, settings.dataDir], ["n-1", "c-1", "/data"])
      assert.strictEqual(settings.heartbeatIntervalMillis, 500)
      assert.deepInclude(settings.elector, { degradationCount: 3, deregistrationTimeoutMillis: 60_000 })
      assert.deepInclude(settings.replication, { quorum: 1, storeLeaseMillis: 1_000 })
      assert.strictEqual(settings.replication.chunkBuffer.thresholdSizeMib, 8)
      assert.deepInclude(settings.snapshot, { keep: 5, historyMillis: 3_600_000, cleanupStrategy: "list" })
      assert.deepStrictEqual(settings.autoCompaction, { mode: "revision", retentionRevisions: 1_000 })
      assert.strictEqual(settings.lease.minTtlSeconds, 5)
      assert.strictEqual(settings.watch.progressIntervalMillis, 90_000)
      assert.deepStrictEqual([settings.log.level, settings.log.outputs], ["warn", ["stderr"]])
    })
  )

  it.effect("may name the place part by part, and the ports of a daemon", () =>
    Effect.gen(function* () {
      const parts = { provider: "gcs", bucketName: "b", keyPrefix: "p", class: "NEARLINE" } as const
      const { storage } = yield* resolve({ storage: parts })
      assert.deepInclude(storage, { provider: "gcs", bucketName: "b", keyPrefix: "p/", class: "NEARLINE" })
      const { advertise, bind, http, log, metricsLevel, tls } = yield* resolve(
        {
          storage: { provider: "directory", path: "/store" },
          bind: { client: "127.0.0.1:0", health: "127.0.0.1:9" },
          http: { gateway: false, cors: ["https://a.example", "https://b.example"] },
          metrics: { level: "extensive" },
          log: { to: "none" }
        },
        true
      )
      assert.deepStrictEqual([bind.client.port, bind.peer.port, bind.health.port], [0, 2381, 9])
      assert.deepStrictEqual([tls, advertise.peer, metricsLevel], [undefined, "127.0.0.1:2381", "extensive"])
      assert.deepStrictEqual([http.gateway, http.cors], [false, ["https://a.example", "https://b.example"]])
      assert.deepStrictEqual([log.level, log.outputs], ["info", []])
    })
  )

  it.effect("that are wrong are all told, by their own names, before anything is opened", () =>
    Effect.gen(function* () {
      const wrong: object = {
        storage: "ftp://somewhere",
        nodeId: "Not Good",
        heartbeatInterval: "soon",
        elector: { degradationCount: 0.5, primaryPriorTimeout: "Infinity" },
        snapshot: { keep: -1 },
        limts: { maxTxnOps: 3 }
      }
      const error = yield* Effect.flip(Effect.provide(Client, Netsy.layer(wrong as Parameters<typeof Netsy.layer>[0])))
      assert.ok(error._tag === "NetsyConfigError")
      assert.deepStrictEqual(error.problems.map(({ key }) => key).sort(), [
        "elector.degradationCount",
        "elector.primaryPriorTimeout",
        "heartbeatInterval",
        "limts.maxTxnOps",
        "nodeId",
        "snapshot.keep",
        "storage"
      ])
      assert.match(error.message, /^7 problems in the options of Netsy:\n/)
      assert.notMatch(error.message, /NETSY_|_[a-z]/)
      const nobody: object = {}
      const missing = yield* Effect.flip(resolve(nobody))
      assert.deepStrictEqual(
        missing.problems.map(({ key }) => key),
        ["storage"]
      )
      const nameless = yield* Effect.flip(resolve({ storage: "dir:/a", network: Netsy.network() } as object))
      assert.deepStrictEqual(
        nameless.problems.map(({ key }) => key),
        ["nodeId"]
      )
    })
  )

  it.effect("come from the program's configuration and from a file too, and win over both", () => {
    const folder = mkdtempSync(join(tmpdir(), "netsy-embed-"))
    const file = join(folder, "cluster.jsonc")
    writeFileSync(
      file,
      `{
        "cluster_id": "filed", // as a daemon reads it
        "heartbeat_interval": "1s",
        "elector": { "primary_prior_timeout": "5s" },
        "storage": { "provider": "directory", "path": "${folder}/store" },
        "replication": { "chunk_buffer": { "threshold_age_minutes": 1 } }
      }`
    )
    const put = Client.use((client) => client.put("a", "1"))
    return Effect.gen(function* () {
      const env = ConfigProvider.fromEnv({ env: { NETSY_STORAGE: `dir:${folder}/other`, NETSY_NODE_ID: "from-env" } })
      yield* put.pipe(Effect.provide(Netsy.layerConfig()), Effect.provideService(ConfigProvider.ConfigProvider, env))
      const wrong = ConfigProvider.fromEnv({ env: { NETSY_STORAGE: "dir:x", NETSY_SNAPSHOT_KEEP: "none" } })
      const error = yield* Effect.flip(
        put.pipe(
          Effect.provide(Netsy.layerConfig({ limits: { maxTxnOps: 0 } })),
          Effect.provideService(ConfigProvider.ConfigProvider, wrong)
        )
      )
      assert.ok(error._tag === "NetsyConfigError")
      assert.deepStrictEqual(
        error.problems.map(({ key, source }) => [key, source]),
        [
          ["snapshot.keep", "NETSY_SNAPSHOT_KEEP"],
          ["limits.maxTxnOps", undefined]
        ]
      )
      yield* put.pipe(Effect.provide(Netsy.layerFile(file, { nodeId: "n1", dataDir: join(folder, "node") })))
      const unread = yield* Effect.flip(
        put.pipe(Effect.provide(Netsy.layerFile(join(folder, "none"), { nodeId: "n1" })))
      )
      assert.strictEqual(unread._tag, "NetsyConfigError")
    }).pipe(Effect.ensuring(Effect.sync(() => rmSync(folder, { recursive: true }))))
  })
})
