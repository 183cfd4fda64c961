/** What the two halves of the Replicator work with, and limits that both know. */
import type { Clock, Effect } from "effect"
import type { NodeName } from "../../core/election/arbiter.ts"
import type { Timestamp } from "../../core/log/record.ts"
import type { ChunkBuffer } from "../../services/ChunkBuffer.ts"
import type { ClusterView } from "../../services/ClusterView.ts"
import type { History } from "../../services/History.ts"
import type { LocalStore } from "../../services/LocalStore.ts"
import type { Log } from "../../services/Log.ts"
import type { Metrics } from "../../services/Metrics.ts"
import type { NodeStatus } from "../../services/NodeStatus.ts"
import type { PeerNetwork } from "../../services/PeerNetwork.ts"
import type { Reign } from "../../services/Reign.ts"
import type { StateMachine } from "../../services/Replicator.ts"
import type { SettingsShape } from "../../services/Settings.ts"
import type { Supervisor } from "../../services/Supervisor.ts"
import type { NodeLog } from "./NodeLog.ts"

/** etcd's request time: 5 s + 2 × its election timeout. */
export const requestTimeoutMillis = 7_000

export interface PrimaryParts {
  readonly local: LocalStore["Service"]
  readonly log: NodeLog
  readonly chunks: ChunkBuffer["Service"]
  readonly history: History["Service"]
  readonly reign: Reign["Service"]
  readonly peers: PeerNetwork["Service"]
  readonly view: ClusterView["Service"]
  readonly status: NodeStatus["Service"]
  readonly journal: Log["Service"]
  readonly metrics: Metrics["Service"]
  readonly settings: SettingsShape
  readonly supervisor: Supervisor["Service"]
  readonly clock: Clock.Clock
  readonly machine: StateMachine
  readonly self: NodeName
  /** The bucket has answered just now. */
  readonly bucketAnswers: Effect.Effect<boolean>
}

export const monotonicMillis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)

export const timestampOf = (clock: Clock.Clock): Timestamp => {
  const millis = clock.currentTimeMillisUnsafe()
  const seconds = Math.floor(millis / 1000)
  return { seconds, nanos: (millis - seconds * 1000) * 1_000_000 }
}
