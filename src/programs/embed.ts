/**
 * Netsy inside of another Effect program: each of these layers is a whole node. Built when the node can serve, closed when it
 * has handed over what it had. Nothing here ends the process, reads its arguments or writes to standard output.
 */
import { Config, Context, Effect, Layer, Option, type Scope } from "effect"
import { allVariables } from "../core/config/fields.ts"
import * as LocalStoreMemory from "../layers/LocalStoreMemory.ts"
import { MemoryDisk } from "../layers/LocalStoreMemory.ts"
import * as LogEffect from "../layers/LogEffect.ts"
import * as LogStderr from "../layers/LogStderr.ts"
import type { LogOutputFailed } from "../layers/LogStderr.ts"
import * as ObjectStoreFaulty from "../layers/ObjectStoreFaulty.ts"
import * as ObjectStoreMemory from "../layers/ObjectStoreMemory.ts"
import { MemoryBucket } from "../layers/ObjectStoreMemory.ts"
import * as SettingsValue from "../layers/SettingsValue.ts"
import { Client } from "../services/Client.ts"
import { ClientApi } from "../services/ClientApi.ts"
import { ClientListener } from "../services/ClientListener.ts"
import { Kv } from "../services/Kv.ts"
import { Leases } from "../services/Leases.ts"
import type { LocalStore } from "../services/LocalStore.ts"
import type { Log } from "../services/Log.ts"
import { Node, type NodeFailed } from "../services/Node.ts"
import { ObjectStore } from "../services/ObjectStore.ts"
import type { Settings, SettingsShape } from "../services/Settings.ts"
import { Supervisor } from "../services/Supervisor.ts"
import { WatchHub } from "../services/WatchHub.ts"
import { ConfigError, StartFailed } from "./embed/errors.ts"
import { named, network } from "./embed/network.ts"
import type { DaemonOptions, NetsyOptions, NodeOptions } from "./embed/options.ts"
import { type Given, settingsOf } from "./embed/settings.ts"
import { baseWith, embedded, healthPort, localDisk, objectStore, ports, programs, storesOf } from "./node.ts"

export { ConfigError, StartFailed } from "./embed/errors.ts"
export { MemoryBucket } from "../layers/ObjectStoreMemory.ts"
export { MemoryDisk } from "../layers/LocalStoreMemory.ts"
export { type Network, network } from "./embed/network.ts"
export type {
  AddressOptions,
  DaemonOptions,
  DurationOption,
  NetsyOptions,
  NodeOptions,
  PortOptions,
  StorageOptions,
  StorageWord
} from "./embed/options.ts"

/** What a node offers to the program it is part of. */
export type Services = Client | Node | ClientApi | Kv | WatchHub | Leases
/** Why a node does not come up. */
export type StartError = ConfigError | StartFailed

const services = [Client, Node, ClientApi, Kv, WatchHub, Leases] as const
const pick = Context.pick(...services)

const failed = (cause: unknown): StartFailed => new StartFailed({ cause })

/**
 * A node of its own, whatever else the program builds from the same parts. A task that ends while the node starts ends the
 * start.
 */
const build = <Base, EB, Rest, E, R>(
  base: Layer.Layer<Base | Supervisor, EB>,
  rest: Layer.Layer<Rest, E, R>
): Effect.Effect<Context.Context<Rest>, StartFailed, Scope.Scope | Exclude<R, Base | Supervisor>> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const ground = yield* Layer.buildWithScope(Layer.fresh(base), scope)
    const { ended } = Context.get(ground, Supervisor)
    const building = Effect.provide(Layer.buildWithScope(Layer.fresh(rest), scope), ground)
    return yield* Effect.raceFirst(building, ended)
  }).pipe(Effect.mapError(failed))

/** Where the node says what it does. */
const logOf = (options: Pick<NodeOptions, "log">): Layer.Layer<Log, LogOutputFailed, Settings> =>
  options.log?.to === "effect" ? LogEffect.layer : LogStderr.layer

/** A node without ports over a bucket and a disk. */
const nodeOver = <E1, R1, E2>(
  given: Given,
  objects: (settings: SettingsShape) => Layer.Layer<ObjectStore, E1, R1>,
  disk: (settings: SettingsShape) => Layer.Layer<LocalStore, E2, Settings>
) =>
  Layer.effectContext(
    Effect.gen(function* () {
      const settings = yield* settingsOf(given)
      if (given.options.network !== undefined) yield* named(given.options.network, settings.nodeId)
      const { elections, fault, peers } = given.options.network ?? network()
      const cable = ObjectStoreFaulty.layer(() => fault(settings.nodeId))
      const bucket = given.options.network === undefined ? objects(settings) : Layer.provide(cable, objects(settings))
      const whole = embedded(settings, peers, elections).pipe(Layer.provideMerge(storesOf(bucket, disk(settings))))
      return pick(yield* build(baseWith(settings, logOf(given.options)), whole))
    })
  )

/** A node: `Netsy.layer({ storage: "dir:./data" })`. Without sockets; alone, unless it is given a `network`. */
export const layer = (options: NetsyOptions): Layer.Layer<Services, StartError> =>
  nodeOver({ options, ports: false }, (settings) => objectStore(settings, options), localDisk)

/** Options of a node over the program's own `ObjectStore`. */
export interface WithOptions extends NodeOptions {
  /** In place of the data directory, for tests: it outlives the node, as a disk does. */
  readonly disk?: MemoryDisk | undefined
}

/** A node over the `ObjectStore` that the program provides. */
export const layerWith = (options: WithOptions = {}): Layer.Layer<Services, StartError, ObjectStore> => {
  const { disk, ...rest } = options
  return nodeOver(
    { options: { ...rest, storage: elsewhere }, ports: false },
    () => given,
    disk === undefined ? localDisk : () => LocalStoreMemory.layer({ disk })
  )
}

/** That of the program. */
const given = Layer.effect(ObjectStore, ObjectStore)

/** Settings want a name for every bucket. */
const elsewhere = "s3://program"

/** Of a node without a disk and without a bucket beyond this process. */
export interface MemoryOptions extends NodeOptions {
  /** Shared with other nodes, or with the next one of a test that starts a node again. Default: one of its own. */
  readonly bucket?: MemoryBucket | undefined
  /** Outlives the node, as a disk does. Default: one of its own. */
  readonly disk?: MemoryDisk | undefined
}

/** A node for tests: bucket and disk in memory. */
export const layerMemory = (options: MemoryOptions = {}): Layer.Layer<Services, StartError> => {
  const { bucket, disk, ...rest } = options
  return nodeOver(
    { options: { ...rest, storage: elsewhere }, ports: false },
    () => ObjectStoreMemory.layer({ bucket: bucket ?? new MemoryBucket() }),
    () => LocalStoreMemory.layer({ disk: disk ?? new MemoryDisk() })
  )
}

/** The variables that a daemon would read, from the program's own `ConfigProvider`. */
const variables: Effect.Effect<Record<string, string | undefined>, ConfigError> = Effect.gen(function* () {
  const found: Record<string, string | undefined> = {}
  for (const name of allVariables) {
    const value = yield* Config.option(Config.String(name))
    if (Option.isSome(value)) found[name] = value.value
  }
  return found
}).pipe(
  Effect.mapError(
    ({ message }) =>
      new ConfigError({ problems: [{ key: "environment", value: message, allowed: "readable variables" }] })
  )
)

/** A node by the variables of a daemon (`NETSY_STORAGE`, `NETSY_CONFIG`, …); options win over them. */
export const layerConfig = (options: Partial<NetsyOptions> = {}): Layer.Layer<Services, StartError> =>
  Layer.unwrap(
    Effect.map(variables, (env) =>
      nodeOver({ options, env, ports: false }, (settings) => objectStore(settings, options), localDisk)
    )
  )

/** A node by a cluster file as a daemon reads it; what a file does not say (`nodeId`, `dataDir`) are options. */
export const layerFile = (path: string, options: Partial<NetsyOptions> = {}): Layer.Layer<Services, StartError> =>
  nodeOver(
    { options, env: { NETSY_CONFIG: path }, ports: false },
    (settings) => objectStore(settings, options),
    localDisk
  )

/** A node with the four ports of a daemon: etcd's clients and other machines can reach it. */
export const daemon = (options: DaemonOptions): Layer.Layer<Services | ClientListener, StartError> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const settings = yield* settingsOf({ options, ports: true })
      const whole = programs.pipe(
        Layer.provideMerge(ports(settings)),
        Layer.provideMerge(storesOf(objectStore(settings, options), localDisk(settings))),
        Layer.provideMerge(healthPort(settings))
      )
      return Context.pick(...services, ClientListener)(yield* build(baseWith(settings, logOf(options)), whole))
    })
  )

/** The bucket alone, as these options name it: to be wrapped, and given to `layerWith`. */
export const objectStoreOf = (
  options: Pick<NetsyOptions, "storage" | "s3" | "gcs">
): Layer.Layer<ObjectStore, StartError> =>
  Layer.unwrap(
    Effect.map(settingsOf({ options, ports: false }), (settings) =>
      Layer.effect(
        ObjectStore,
        Effect.scope.pipe(
          Effect.flatMap((scope) =>
            Layer.buildWithScope(
              objectStore(settings, options).pipe(Layer.provide(SettingsValue.layer(settings))),
              scope
            )
          ),
          Effect.map((built) => Context.get(built, ObjectStore)),
          Effect.mapError(failed)
        )
      )
    )
  )

/** Never succeeds; fails when the node ends by itself: race your program with it. */
export const untilFailed: Effect.Effect<never, NodeFailed, Node> = Node.use(({ ended }) => ended)
