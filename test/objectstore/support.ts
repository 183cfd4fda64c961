/** Temporary folders, dev-s3 and settings for tests of object stores. */
import { Context, Effect, Layer, type Scope } from "effect"
import * as ObjectStoreGcs from "../../src/layers/ObjectStoreGcs.ts"
import * as ObjectStoreS3 from "../../src/layers/ObjectStoreS3.ts"
import { type DevS3, type DevS3Options, startDevS3 } from "../../src/programs/dev-s3/server.ts"
import { type Denied, ObjectStore } from "../../src/services/ObjectStore.ts"
import { Settings, type SettingsShape, type StorageSettings } from "../../src/services/Settings.ts"
import { type EmulatorOptions, type GcsEmulator, startGcsEmulator } from "./gcsEmulator.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

export const devS3 = (options: Partial<DevS3Options> = {}): Effect.Effect<DevS3, never, Scope.Scope> =>
  Effect.gen(function* () {
    const dir = yield* temporaryFolder
    return yield* Effect.acquireRelease(
      Effect.promise(() => startDevS3({ dir, bucket: "bucket", ...options })),
      (server) => Effect.promise(() => server.close())
    )
  })

const storage = (part: Partial<StorageSettings> = {}): StorageSettings => ({
  provider: "s3",
  bucketName: "bucket",
  keyPrefix: "",
  class: "STANDARD",
  encryption: "provider-managed",
  kmsKeyId: "",
  path: "",
  ...part
})

export const withStorage = (part: Partial<StorageSettings> = {}): Layer.Layer<Settings> =>
  Layer.succeed(Settings, { storage: storage(part) } as SettingsShape)

const s3Overrides = (server: DevS3): ObjectStoreS3.S3Overrides => ({
  endpoint: server.url,
  region: "us-east-1",
  pathStyle: true,
  credentials: { accessKeyId: "test", secretAccessKey: "test" }
})

export const s3Store = (server: DevS3, part: Partial<StorageSettings> = {}): Layer.Layer<ObjectStore, Denied> =>
  ObjectStoreS3.layer(s3Overrides(server)).pipe(Layer.provide(withStorage(part)))

export const gcsEmulator = (options: EmulatorOptions = {}): Effect.Effect<GcsEmulator, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => startGcsEmulator(options)),
    (server) => Effect.promise(() => server.close())
  )

export const gcsStore = (
  server: GcsEmulator,
  part: Partial<StorageSettings> = {},
  overrides: Omit<ObjectStoreGcs.GcsOverrides, "endpoint"> = {}
): Layer.Layer<ObjectStore, Denied> =>
  ObjectStoreGcs.layer({ endpoint: server.url, ...overrides }).pipe(
    Layer.provide(withStorage({ provider: "gcs", ...part }))
  )

/** A store of its own from the layer, open until the scope closes. */
export const openStore = <E>(
  layer: Layer.Layer<ObjectStore, E>
): Effect.Effect<ObjectStore["Service"], E, Scope.Scope> =>
  Effect.map(Layer.build(Layer.fresh(layer)), (context) => Context.get(context, ObjectStore))
