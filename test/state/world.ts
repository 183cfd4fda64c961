/** One node's state over a replicator that the test leads, a disk in memory, and whatever stands above the state. */
import { Effect, Layer } from "effect"
import type { EtcdError } from "../../src/core/wire/errors.ts"
import * as AlarmsPrimary from "../../src/layers/AlarmsPrimary.ts"
import * as AuthPrimary from "../../src/layers/AuthPrimary.ts"
import * as AuthTokensSimple from "../../src/layers/AuthTokensSimple.ts"
import * as CompactorLocal from "../../src/layers/CompactorLocal.ts"
import * as KvPrimary from "../../src/layers/KvPrimary.ts"
import * as LeasesReplicated from "../../src/layers/LeasesReplicated.ts"
import * as LocalStoreMemory from "../../src/layers/LocalStoreMemory.ts"
import * as LogMemory from "../../src/layers/LogMemory.ts"
import * as MetricsPrometheus from "../../src/layers/MetricsPrometheus.ts"
import * as NodeStatusMemory from "../../src/layers/NodeStatusMemory.ts"
import * as PasswordsBcrypt from "../../src/layers/PasswordsBcrypt.ts"
import * as ReplicatedStateLog from "../../src/layers/ReplicatedStateLog.ts"
import * as SettingsValue from "../../src/layers/SettingsValue.ts"
import * as SupervisorFatal from "../../src/layers/SupervisorFatal.ts"
import * as WatchHubHistory from "../../src/layers/WatchHubHistory.ts"
import { Snapshotter } from "../../src/services/Snapshotter.ts"
import { embeddedSettings } from "../config/embedded.ts"
import { FakeReplicator } from "../support/FakeReplicator.ts"

/** Notes what it is told. */
class Snapshots {
  readonly events: Array<string> = []
  readonly layer: Layer.Layer<Snapshotter> = Layer.succeed(Snapshotter, {
    begin: ({ source }) => this.events.push(`begin ${source().index}`),
    rest: () => this.events.push("rest"),
    committed: (index) => this.events.push(`committed ${index}`),
    lastIndex: () => 0,
    takeAtStop: Effect.sync(() => this.events.push("at stop")).pipe(Effect.asVoid),
    take: Effect.die("not used")
  })
}

export const makeNode = (disk = new LocalStoreMemory.MemoryDisk()) => {
  const replicator = new FakeReplicator()
  const snapshots = new Snapshots()
  const settings = embeddedSettings({ NETSY_AUTH_BCRYPT_COST: "4" })
  const base = NodeStatusMemory.layer.pipe(
    Layer.provideMerge(Layer.mergeAll(LogMemory.layer([]), MetricsPrometheus.layer, SupervisorFatal.layer)),
    Layer.provideMerge(SettingsValue.layer(settings))
  )
  const layer = Layer.mergeAll(KvPrimary.layer, LeasesReplicated.layer, AlarmsPrimary.layer, AuthPrimary.layer).pipe(
    Layer.provideMerge(ReplicatedStateLog.layer),
    Layer.provideMerge(Layer.mergeAll(WatchHubHistory.layer, CompactorLocal.layer, snapshots.layer)),
    Layer.provideMerge(Layer.mergeAll(PasswordsBcrypt.layer, AuthTokensSimple.layer({ ttlSeconds: 300 }))),
    Layer.provideMerge(replicator.layer),
    Layer.provideMerge(LocalStoreMemory.layer({ disk })),
    Layer.provideMerge(base)
  )
  return { replicator, snapshots, layer }
}

/** What became of a call. */
export interface Outcome<A> {
  answer: A | undefined
  error: EtcdError | undefined
}

export const outcomeOf = <A>(
  call: (reply: { readonly succeed: (answer: A) => void; readonly fail: (error: EtcdError) => void }) => void
): Outcome<A> => {
  const outcome: Outcome<A> = { answer: undefined, error: undefined }
  call({
    succeed: (answer) => {
      outcome.answer = answer
    },
    fail: (error) => {
      outcome.error = error
    }
  })
  return outcome
}

/** Lets every task work until it waits for time. */
export const settle = Effect.repeat(Effect.yieldNow, { times: 100 })
