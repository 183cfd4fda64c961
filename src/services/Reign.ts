/**
 * The Primary's hold on its term: the arbiter object's renewals, the lease or the timer they give, and the changes of
 * mode and voters (design 6.2, 6.3). Owns every CAS that the Primary itself makes.
 */
import { Context, type Effect, Schema, type Scope } from "effect"
import type { Arbiter } from "../core/election/arbiter.ts"
import type { CommitRule } from "../core/quorum/rule.ts"

/** Another process reigns in a higher term, or this one has resigned. */
export class Deposed extends Schema.TaggedError<Deposed>()("Deposed", {
  term: Schema.Number,
  by: Schema.String
}) {
  override get message() {
    return `deposed in term ${this.term}: ${this.by}`
  }
}

/** An election that was won: the arbiter as it stands in the bucket. */
export interface Won {
  readonly arbiter: Arbiter
  readonly etag: string
}

/** One term of this process. `mayAcknowledge` is asked on every commit and every linearizable read. */
export interface Hold {
  readonly term: number
  /** As it last is known to stand in the bucket. */
  readonly arbiter: () => Arbiter
  /**
   * May entries be committed and linearizable reads be served at this moment? False until the first renewal is known to
   * have landed, while a change is open, outside the store lease (mode store), and when renewals have failed for 0.8 ×
   * the deregistration timeout (mode quorum).
   */
  readonly mayAcknowledge: () => boolean
  /** Succeeds when the first renewal is known to have landed. */
  readonly renewed: Effect.Effect<void, Deposed>
  /**
   * Changes the commit rule. From the call on nothing may be acknowledged until it is known to have landed, however often
   * it has to be written (an open CAS); succeeds then. The caller has uploaded first (design 6.2) and makes one change at
   * a time.
   */
  readonly change: (rule: CommitRule) => Effect.Effect<void, Deposed>
  /** Called after each renewal or change that landed. One listener. */
  readonly onRenewed: (listener: () => void) => void
  /** Fails with the reason once this term is over. */
  readonly over: Effect.Effect<never, Deposed>
  /** This node knows of a higher term (a fence, the cluster's state): nothing is acknowledged from now on. */
  readonly depose: (by: string) => void
  /** Writes `resigned` and acknowledges nothing from sending it on. Best effort, bounded in time. */
  readonly resign: Effect.Effect<void>
  /** The same, and says that everything that was ever committed is in the bucket: nothing may be committed from here on. */
  readonly resignStored: Effect.Effect<void>
}

export class Reign extends Context.Service<
  Reign,
  {
    /** Holds the term that was won until the scope closes. Returns at once; the first renewal is under way. One term at a time. */
    readonly begin: (won: Won) => Effect.Effect<Hold, never, Scope.Scope>
  }
>()("netsy/services/Reign") {}
