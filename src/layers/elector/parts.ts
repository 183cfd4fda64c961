/** What the parts of the Elector share. */
import { type Clock, Effect, Latch, Option, Schema } from "effect"
import { type Arbiter, arbiterKey, decodeArbiter } from "../../core/election/arbiter.ts"
import type { ClusterView } from "../../services/ClusterView.ts"
import type { History } from "../../services/History.ts"
import type { LeadershipClient } from "../../services/LeadershipClient.ts"
import type { LocalStore } from "../../services/LocalStore.ts"
import type { Log } from "../../services/Log.ts"
import type { Membership } from "../../services/Membership.ts"
import type { NodeReports } from "../../services/NodeReports.ts"
import type { NodeStatus, Waiting } from "../../services/NodeStatus.ts"
import { type Denied, type ObjectStore, Unavailable } from "../../services/ObjectStore.ts"
import type { PeerNetwork } from "../../services/PeerNetwork.ts"
import type { SettingsShape } from "../../services/Settings.ts"

/** Something in the bucket makes every election impossible until an operator has seen to it. */
export class ElectionImpossible extends Schema.TaggedError<ElectionImpossible>()("ElectionImpossible", {
  key: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.key}: ${this.reason}`
  }
}

export interface ElectorParts {
  readonly store: ObjectStore["Service"]
  readonly local: LocalStore["Service"]
  readonly membership: Membership["Service"]
  readonly history: History["Service"]
  readonly reports: NodeReports["Service"]
  readonly view: ClusterView["Service"]
  readonly peers: PeerNetwork["Service"]
  readonly leadership: LeadershipClient["Service"]
  readonly status: NodeStatus["Service"]
  readonly log: Log["Service"]
  readonly settings: SettingsShape
  readonly clock: Clock.Clock
  readonly nowMillis: () => number
  /** Tells what is waited for, or that the Elector waits for nothing; others' waits stay. */
  readonly wait: (waiting: Waiting | undefined) => void
}

/** An object as it stands in the bucket. */
export interface FoundArbiter {
  readonly arbiter: Arbiter
  readonly etag: string
}

/** One request to the bucket; whatever takes longer has an unknown outcome. */
export const requestMillis = 5_000

export type BucketFailed = Unavailable | Denied

/** A request without an answer in time is one whose outcome is not known. */
export const bounded =
  (operation: string, key: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | Unavailable, R> =>
    effect.pipe(
      Effect.timeoutOption(requestMillis),
      Effect.flatMap((answer) =>
        Option.isSome(answer)
          ? Effect.succeed(answer.value)
          : Effect.fail(new Unavailable({ operation, key, reason: `no answer within ${requestMillis} ms` }))
      )
    )

/** Undefined: there is none. */
export const readArbiter = ({ store }: Pick<ElectorParts, "store">) =>
  store.get(arbiterKey).pipe(
    bounded("GET", arbiterKey),
    Effect.flatMap((object) => {
      const arbiter = decodeArbiter(object.body)
      return typeof arbiter === "string"
        ? Effect.fail(new ElectionImpossible({ key: arbiterKey, reason: arbiter }))
        : Effect.succeed<FoundArbiter | undefined>({ arbiter, etag: object.etag })
    }),
    Effect.catchTag("NotFound", () => Effect.succeed(undefined))
  )

/** A pause that can be cut short, also by what came before it began. */
export class Alarm {
  readonly #latch = Latch.makeUnsafe(false)

  ring(): void {
    this.#latch.openUnsafe()
  }
  sleep(millis: number): Effect.Effect<void> {
    return this.#latch.await.pipe(
      Effect.timeoutOption(Math.max(1, millis)),
      Effect.andThen(Effect.sync(() => this.#latch.closeUnsafe())),
      Effect.asVoid
    )
  }
}
