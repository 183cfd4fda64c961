/** One process's `Reign` in virtual time over a bucket with faults, and an observer who sees the bucket as others do. */
import { Clock, Effect, Exit, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { type Arbiter, arbiterKey, decodeArbiter, encodeArbiter } from "../../src/core/election/arbiter.ts"
import type { CommitRule } from "../../src/core/quorum/rule.ts"
import * as LogMemory from "../../src/layers/LogMemory.ts"
import * as MetricsPrometheus from "../../src/layers/MetricsPrometheus.ts"
import * as NodeStatusMemory from "../../src/layers/NodeStatusMemory.ts"
import * as ObjectStoreFaulty from "../../src/layers/ObjectStoreFaulty.ts"
import * as ObjectStoreMemory from "../../src/layers/ObjectStoreMemory.ts"
import { MemoryBucket } from "../../src/layers/ObjectStoreMemory.ts"
import * as ReignBucket from "../../src/layers/ReignBucket.ts"
import * as SettingsValue from "../../src/layers/SettingsValue.ts"
import * as SupervisorFatal from "../../src/layers/SupervisorFatal.ts"
import { NodeStatus } from "../../src/services/NodeStatus.ts"
import { ObjectStore } from "../../src/services/ObjectStore.ts"
import { type Hold, Reign } from "../../src/services/Reign.ts"
import { embeddedSettings } from "../config/embedded.ts"

export const leaseMillis = 3_000
export const timeoutMillis = 30_000

export const self = { nodeId: "a", incarnation: "1" }
export const other = { nodeId: "b", incarnation: "1" }

export const storeMode: Arbiter = {
  term: 5,
  primary: self,
  mode: "store",
  voters: [],
  required: 0,
  leaseMillis,
  timeoutMillis,
  counter: 40,
  resigned: false,
  allStored: false,
  recovered: undefined
}
export const quorumRule: CommitRule = { mode: "quorum", voters: [self, other], required: 1 }
export const quorumMode: Arbiter = { ...storeMode, ...quorumRule }

export class World {
  readonly bucket = new MemoryBucket()
  readonly lines: Array<LogMemory.MemoryLine> = []
  decide: (call: ObjectStoreFaulty.Call) => ObjectStoreFaulty.Fault | undefined = () => undefined
  /** The wall clock has run so much further than the monotonic one. */
  wallShiftMillis = 0
  puts = 0

  get arbiter(): Arbiter {
    const arbiter = decodeArbiter(this.bucket.get(arbiterKey)!.body)
    if (typeof arbiter === "string") throw new Error(arbiter)
    return arbiter
  }
  get etag(): string {
    return this.bucket.get(arbiterKey)!.etag
  }

  /** What somebody else writes, whatever stands there. */
  write(arbiter: Arbiter) {
    return ObjectStore.use((store) => store.put(arbiterKey, encodeArbiter(arbiter))).pipe(
      Effect.provide(ObjectStoreMemory.layer({ bucket: this.bucket })),
      Effect.orDie
    )
  }

  /** The next PUTs fail in this way. */
  failPuts(count: number, fault: ObjectStoreFaulty.Fault): void {
    this.decide = (call) => (call.operation === "put" && count-- > 0 ? fault : undefined)
  }

  /** The bucket cannot be reached. */
  unreachable(): void {
    this.decide = () => ({ kind: "fail" })
  }

  heal(): void {
    this.decide = () => undefined
  }
}

export interface Process {
  readonly reign: Reign["Service"]
  readonly status: NodeStatus["Service"]
}

const startProcess = (world: World, env: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const shifted: Clock.Clock = {
      ...clock,
      currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + world.wallShiftMillis
    }
    const settings = embeddedSettings({
      NETSY_ELECTOR_DEREGISTRATION_TIMEOUT: `${timeoutMillis / 1_000}s`,
      ...env
    })
    const base = NodeStatusMemory.layer.pipe(
      Layer.provideMerge(Layer.mergeAll(LogMemory.layer(world.lines), MetricsPrometheus.layer, SupervisorFatal.layer)),
      Layer.provideMerge(SettingsValue.layer(settings))
    )
    const objects = ObjectStoreFaulty.layer((call) => {
      if (call.operation === "put") world.puts++
      return world.decide(call)
    }).pipe(Layer.provide(ObjectStoreMemory.layer({ bucket: world.bucket })))
    const context = yield* Layer.build(
      ReignBucket.layer({ leaseMillis: () => leaseMillis }).pipe(Layer.provideMerge(Layer.mergeAll(base, objects)))
    ).pipe(Effect.provideService(Clock.Clock, shifted))
    return yield* Effect.gen(function* () {
      return { reign: yield* Reign, status: yield* NodeStatus } satisfies Process
    }).pipe(Effect.provide(context))
  })

/** Time passes in small steps, so that what happens at each is seen. */
export const pass = (millis: number, each: () => void = () => {}) =>
  Effect.gen(function* () {
    for (let left = millis; left > 0; left -= 10) {
      yield* TestClock.adjust(Math.min(10, left))
      each()
    }
  })

export interface Term extends Process {
  readonly world: World
  readonly hold: Hold
  readonly leave: Effect.Effect<void>
}

/** The process has been elected and begins its term. */
export const beginTerm = (world: World, arbiter: Arbiter, env: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    yield* world.write(arbiter)
    const process = yield* startProcess(world, env)
    const scope = yield* Scope.make()
    const hold = yield* process.reign.begin({ arbiter, etag: world.etag }).pipe(Scope.provide(scope))
    return { ...process, world, hold, leave: Scope.close(scope, Exit.void) } satisfies Term
  })
