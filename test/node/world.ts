/** A node over memory stores that outlive it: started, stopped or killed, and started again, in one process. */
import { Effect, Exit, Layer, Scope } from "effect"
import type { EtcdError } from "../../src/core/wire/errors.ts"
import type { PutResponse, RangeResponse } from "../../src/core/wire/messages.ts"
import * as LocalStoreMemory from "../../src/layers/LocalStoreMemory.ts"
import { MemoryDisk } from "../../src/layers/LocalStoreMemory.ts"
import * as LeadershipClientNone from "../support/LeadershipClientNone.ts"
import * as LogMemory from "../../src/layers/LogMemory.ts"
import * as MetricsPrometheus from "../../src/layers/MetricsPrometheus.ts"
import * as NodeStatusMemory from "../../src/layers/NodeStatusMemory.ts"
import type { Call, Fault } from "../../src/layers/ObjectStoreFaulty.ts"
import * as ObjectStoreFaulty from "../../src/layers/ObjectStoreFaulty.ts"
import * as ObjectStoreMemory from "../../src/layers/ObjectStoreMemory.ts"
import { MemoryBucket } from "../../src/layers/ObjectStoreMemory.ts"
import * as PeerNetworkMemory from "../../src/layers/PeerNetworkMemory.ts"
import * as SettingsValue from "../../src/layers/SettingsValue.ts"
import * as SupervisorFatal from "../../src/layers/SupervisorFatal.ts"
import { cluster, node } from "../../src/programs/node.ts"
import { Kv, type Reply } from "../../src/services/Kv.ts"
import { Supervisor, type TaskEnded } from "../../src/services/Supervisor.ts"
import { embeddedSettings } from "../config/embedded.ts"
import * as requests from "../support/requests.ts"

export { MemoryBucket, MemoryDisk }

export interface World {
  readonly bucket: MemoryBucket
  /** Exchange it to lose the disk. */
  disk: MemoryDisk
  /** Asked at every call to the bucket. */
  decide: (call: Call) => Fault | undefined
  readonly env: Readonly<Record<string, string>>
  readonly lines: Array<LogMemory.MemoryLine>
  /** The bucket has the lock that dies with the process, as a directory has. */
  readonly exclusive?: boolean
}

export const makeWorld = (env: Readonly<Record<string, string>> = {}): World => ({
  bucket: new MemoryBucket(),
  disk: new MemoryDisk(),
  decide: () => undefined,
  env: { NETSY_REPLICATION_STORE_LEASE: "300ms", ...env },
  lines: []
})

/** A process; once dead its calls go nowhere. */
interface Life {
  dead: boolean
}

const layerOf = (world: World, life: Life) => {
  const settings = embeddedSettings(world.env)
  const base = NodeStatusMemory.layer.pipe(
    Layer.provideMerge(Layer.mergeAll(LogMemory.layer(world.lines), MetricsPrometheus.layer, SupervisorFatal.layer)),
    Layer.provideMerge(SettingsValue.layer(settings))
  )
  const objects = ObjectStoreFaulty.layer((call) =>
    life.dead ? { kind: "hang", effect: false } : world.decide(call)
  ).pipe(Layer.provide(ObjectStoreMemory.layer({ bucket: world.bucket, exclusive: world.exclusive === true })))
  const peers = PeerNetworkMemory.layer(new PeerNetworkMemory.MemoryPeers())
  return node(settings).pipe(
    Layer.provideMerge(cluster(settings)),
    Layer.provideMerge(Layer.mergeAll(peers, LeadershipClientNone.layer)),
    Layer.provideMerge(Layer.mergeAll(objects, LocalStoreMemory.layer({ disk: world.disk }))),
    Layer.provideMerge(base)
  )
}

type Services = Layer.Success<ReturnType<typeof layerOf>>

export interface Running {
  /** Runs with the node's services. */
  readonly use: <A, E>(effect: Effect.Effect<A, E, Services>) => Effect.Effect<A, E>
  /** Clean: drains, resigns, closes. */
  readonly stop: Effect.Effect<void>
  /** Nothing it does reaches bucket or disk any more; unsynced bytes are lost. */
  readonly kill: Effect.Effect<void>
  /** Why the node ended by itself. */
  readonly ended: Effect.Effect<TaskEnded>
}

/** Succeeds when the node is Active. */
export const startNode = (world: World) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const life: Life = { dead: false }
    const context = yield* Layer.buildWithScope(Layer.fresh(layerOf(world, life)), scope).pipe(
      Effect.onError(() => Scope.close(scope, Exit.void))
    )
    const running: Running = {
      use: (effect) => Effect.provide(effect, context),
      stop: Scope.close(scope, Exit.void),
      // The scope stays open: a killed process runs no finalizers.
      kill: Effect.sync(() => {
        life.dead = true
        world.disk.crash()
      }),
      ended: Effect.provide(
        Supervisor.use((s) => Effect.flip(s.ended)),
        context
      )
    }
    return running
  })

/** A call with a reply as an effect. */
export const asEffect = <A>(call: (reply: Reply<A>) => void): Effect.Effect<A, EtcdError> =>
  Effect.callback<A, EtcdError>((resume) =>
    call({ succeed: (answer) => resume(Effect.succeed(answer)), fail: (error) => resume(Effect.fail(error)) })
  )

export const bytes = (text: string): Uint8Array => Buffer.from(text)

export const put = (key: string, value: string): Effect.Effect<PutResponse, EtcdError, Kv> =>
  Kv.use((kv) =>
    asEffect((reply) =>
      kv.put(
        { key: bytes(key), value: bytes(value), lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false },
        reply
      )
    )
  )

export const rangeOf = (key: Uint8Array, rangeEnd: Uint8Array, revision: number, serializable: boolean) =>
  requests.rangeOf(key, { rangeEnd, revision, serializable })

export const range = (
  options: { readonly revision?: number; readonly serializable?: boolean } = {}
): Effect.Effect<RangeResponse, EtcdError, Kv> =>
  Kv.use((kv) =>
    asEffect((reply) =>
      kv.range(rangeOf(Uint8Array.of(0), Uint8Array.of(0), options.revision ?? 0, options.serializable ?? false), reply)
    )
  )

export const compact = (revision: number, physical = true) =>
  Kv.use((kv) => asEffect<unknown>((reply) => kv.compact({ revision, physical }, reply)))

/** key=value pairs in key order. */
export const shown = (response: RangeResponse): string =>
  response.kvs.map((kv) => `${Buffer.from(kv.key).toString()}=${Buffer.from(kv.value).toString()}`).join(" ")

export const everything = Effect.map(range(), shown)
