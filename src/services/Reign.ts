/**
 * The Primary's hold on its term: the arbiter object's renewals and the lease they give (design 6.2, 6.3). Owns every
 * CAS that the Primary itself makes. `mayAcknowledge` is asked on every commit and every linearizable read.
 */
import { Context, type Effect, Schema, type Scope } from "effect"
import type { Arbiter } from "../core/election/arbiter.ts"

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

export class Reign extends Context.Service<
  Reign,
  {
    /**
     * Starts to hold the term that was won: renews until the scope closes. Succeeds when the first renewal is known to
     * have landed; a new Primary has no lease before.
     */
    readonly begin: (won: Won) => Effect.Effect<void, Deposed, Scope.Scope>
    /** May entries be committed and linearizable reads be served at this moment? */
    readonly mayAcknowledge: () => boolean
    /** 0 before `begin`. */
    readonly term: () => number
    /** Called after each renewal that landed. One listener. */
    readonly onRenewed: (listener: () => void) => void
    /** Fails with the reason once this term is over. */
    readonly over: Effect.Effect<never, Deposed>
    /** Writes `resigned` and acknowledges nothing from sending it on. Best effort, bounded in time. */
    readonly resign: Effect.Effect<void>
  }
>()("netsy/services/Reign") {}
