/** The conformance suite over all object stores; S3 against dev-s3, GCS against an emulator. */
import { Effect, Layer } from "effect"
import * as ObjectStoreDirectory from "../../src/layers/ObjectStoreDirectory.ts"
import * as ObjectStoreMemory from "../../src/layers/ObjectStoreMemory.ts"
import { conformance } from "./conformance.ts"
import { devS3, gcsEmulator, gcsStore, s3Store } from "./support.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

conformance("ObjectStoreMemory", ObjectStoreMemory.layer())

conformance("ObjectStoreDirectory", Layer.unwrap(Effect.map(temporaryFolder, ObjectStoreDirectory.layerAt)))

conformance(
  "ObjectStoreS3 below a key prefix",
  Layer.unwrap(Effect.map(devS3(), (server) => s3Store(server, { keyPrefix: "some/pre fix/" })))
)

// Forty writes of one object would take their time at one a second.
conformance(
  "ObjectStoreGcs below a key prefix",
  Layer.unwrap(
    Effect.map(gcsEmulator(), (server) => gcsStore(server, { keyPrefix: "some/pre fix/" }, { writeIntervalMillis: 0 }))
  )
)
