/** The bucket alone, for subcommands that look into it or repair it: no port is opened, no certificate is needed. */
import { existsSync, readFileSync } from "node:fs"
import { Effect, Layer } from "effect"
import { decide } from "../core/config/command.ts"
import * as SettingsValue from "../layers/SettingsValue.ts"
import type { Denied, ObjectStore, Unavailable } from "../services/ObjectStore.ts"
import type { Settings, SettingsShape, StorageSettings } from "../services/Settings.ts"

/** Loaded alone: a look does not wait for the clients of the other stores. */
const storeLayers = {
  directory: () => import("../layers/ObjectStoreDirectory.ts").then((module) => module.layer),
  gcs: () => import("../layers/ObjectStoreGcs.ts").then((module) => module.layer()),
  s3: () => import("../layers/ObjectStoreS3.ts").then((module) => module.layer())
}

const storeOf = (settings: SettingsShape): Layer.Layer<ObjectStore, Unavailable | Denied> =>
  Layer.unwrap(
    Effect.promise((): Promise<Layer.Layer<ObjectStore, Unavailable | Denied, Settings>> =>
      // A program may have two buckets: each has its own client, or folder.
      storeLayers[settings.storage.provider]().then(Layer.fresh)
    )
  ).pipe(Layer.provide(SettingsValue.layer(settings)))

/** The environment as far as it concerns the storage. */
const storageOnly = (env: NodeJS.ProcessEnv): Record<string, string | undefined> => {
  const out: Record<string, string | undefined> = { NETSY_NODE_ID: "inspect" }
  for (const [name, value] of Object.entries(env)) if (!/^NETSY_(BIND|ADVERTISE|TLS)_/.test(name)) out[name] = value
  for (const [i, port] of ["CLIENT", "PEER", "ELECTION", "HEALTH"].entries()) {
    out[`NETSY_BIND_${port}`] = `127.0.0.1:${i + 1}`
  }
  return out
}

export type Bucket =
  | {
      readonly ok: true
      readonly layer: Layer.Layer<ObjectStore, Unavailable | Denied>
      readonly storage: StorageSettings
    }
  /** Whole lines for standard error. */
  | { readonly ok: false; readonly why: string; readonly lines: string }

/** The bucket that these words (`--storage`, `--config`) and the variables name. `toFill`: it need not be there yet. */
export const bucketOf = (argv: ReadonlyArray<string>, toFill = false): Bucket => {
  const command = decide({
    argv: [...argv.filter((word) => word !== "--insecure"), "--insecure"],
    env: storageOnly(process.env),
    readFile: (path) => readFileSync(path, "utf8"),
    cwd: process.cwd(),
    version: ""
  })
  if (command.action === "exit") return { ok: false, why: "there is no storage", lines: command.stderr }
  const { storage } = command.settings
  const { provider, path } = storage
  // A node would make it; a look must not.
  if (provider === "directory" && !toFill && !existsSync(path)) {
    return { ok: false, why: `there is no directory ${path}`, lines: "" }
  }
  return { ok: true, layer: storeOf(command.settings), storage }
}
