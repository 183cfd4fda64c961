/** Registered nodes over one bucket and disks that outlive them. */
import { Effect, Exit, Layer, Scope } from "effect"
import * as ClusterViewMemory from "../../src/layers/ClusterViewMemory.ts"
import * as LocalStoreMemory from "../../src/layers/LocalStoreMemory.ts"
import { MemoryDisk } from "../../src/layers/LocalStoreMemory.ts"
import * as LogMemory from "../../src/layers/LogMemory.ts"
import * as MembershipBucket from "../../src/layers/MembershipBucket.ts"
import * as MetricsPrometheus from "../../src/layers/MetricsPrometheus.ts"
import * as NodeStatusMemory from "../../src/layers/NodeStatusMemory.ts"
import * as ObjectStoreFaulty from "../../src/layers/ObjectStoreFaulty.ts"
import type { Call, Fault } from "../../src/layers/ObjectStoreFaulty.ts"
import * as ObjectStoreMemory from "../../src/layers/ObjectStoreMemory.ts"
import { MemoryBucket } from "../../src/layers/ObjectStoreMemory.ts"
import * as SettingsValue from "../../src/layers/SettingsValue.ts"
import type { SettingsShape } from "../../src/services/Settings.ts"
import { TestNetwork } from "../cluster-view/network.ts"
import { embeddedSettings } from "../config/embedded.ts"

export { MemoryDisk }

export class World {
  readonly bucket = new MemoryBucket()
  readonly network = new TestNetwork()
  readonly lines: Array<LogMemory.MemoryLine> = []
  decide: (call: Call) => Fault | undefined = () => undefined

  settings(nodeId: string): SettingsShape {
    const advertise = { client: `${nodeId}:2378`, peer: `${nodeId}:2381`, election: `${nodeId}:8443` }
    return { ...embeddedSettings(), nodeId, advertise }
  }

  base(settings: SettingsShape) {
    return NodeStatusMemory.layer.pipe(
      Layer.provideMerge(Layer.mergeAll(MetricsPrometheus.layer, LogMemory.layer(this.lines))),
      Layer.provideMerge(SettingsValue.layer(settings))
    )
  }

  objects() {
    return ObjectStoreFaulty.layer((call) => this.decide(call)).pipe(
      Layer.provide(ObjectStoreMemory.layer({ bucket: this.bucket }))
    )
  }

  layer(settings: SettingsShape, disk: MemoryDisk) {
    return Layer.fresh(
      MembershipBucket.layer.pipe(
        Layer.provideMerge(ClusterViewMemory.layer),
        Layer.provideMerge(
          Layer.mergeAll(this.network.layer(settings.nodeId), this.objects(), LocalStoreMemory.layer({ disk }))
        ),
        Layer.provideMerge(this.base(settings))
      )
    )
  }

  /** A registered node; closes with the test's scope. */
  node(settings: SettingsShape, disk = new MemoryDisk()) {
    return Layer.build(this.layer(settings, disk))
  }

  /** A node that starts, does this and stops cleanly. */
  once<A, E>(
    settings: SettingsShape,
    disk: MemoryDisk,
    body: Effect.Effect<A, E, Layer.Success<ReturnType<World["layer"]>>>
  ) {
    return Effect.gen({ self: this }, function* () {
      const scope = yield* Scope.make()
      return yield* Layer.buildWithScope(this.layer(settings, disk), scope).pipe(
        Effect.flatMap((context) => Effect.provide(body, context)),
        Effect.ensuring(Scope.close(scope, Exit.void))
      )
    })
  }

  json(key: string): Record<string, unknown> {
    return JSON.parse(Buffer.from(this.bucket.get(key)!.body).toString()) as Record<string, unknown>
  }

  put(key: string, text: string): void {
    this.bucket.put(key, Buffer.from(text), undefined, 0)
  }
}
