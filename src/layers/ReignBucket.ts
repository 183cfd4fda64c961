/**
 * `Reign` over the arbiter object. Every CAS of a term is made by one fiber, one after the other, with the ETag that was
 * seen last; an unknown outcome is read back and judged as in design 6.2. How long a CAS that landed holds is
 * `core/quorum/holding.ts`'s.
 */
import { Clock, Deferred, Effect, Exit, Layer, Option, type Scope } from "effect"
import { assert } from "../core/assert.ts"
import {
  type Arbiter,
  arbiterKey,
  decodeArbiter,
  encodeArbiter,
  judgeUnknownCas,
  showNode
} from "../core/election/arbiter.ts"
import { Holding, type Moment } from "../core/quorum/holding.ts"
import type { CommitRule } from "../core/quorum/rule.ts"
import { Log } from "../services/Log.ts"
import { NodeStatus } from "../services/NodeStatus.ts"
import { ObjectStore, Unavailable } from "../services/ObjectStore.ts"
import { Deposed, type Hold, Reign, type Won } from "../services/Reign.ts"
import { Settings } from "../services/Settings.ts"
import { Supervisor } from "../services/Supervisor.ts"

const retryMinMillis = 50
const retryMaxMillis = 1_000
const resignTimeoutMillis = 4_000
/** An attempt that has not answered after a third of the lease is given up; each further one may take twice as long. */
const attemptMinMillis = 100
const attemptMaxMillis = 10_000
/** How often the clocks are compared: after a suspension the hold is renewed at once, not when it is due. */
const driftCheckMillis = 1_000

export interface ReignOptions {
  /** Asked before each write: a lone node may take a longer one. */
  readonly leaseMillis: () => number
}

/** What a CAS is for. A renewal makes way for a change; a resignation makes way for nothing. */
type Purpose =
  | { readonly kind: "renewal" }
  | { readonly kind: "change"; readonly rule: CommitRule }
  | { readonly kind: "resignation"; readonly allStored: boolean }

const renewal: Purpose = { kind: "renewal" }

/** A request that hangs is a request whose outcome is unknown. */
const inTime =
  (operation: string, millis: number) =>
  <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E | Unavailable> =>
    effect.pipe(
      Effect.timeoutOption(millis),
      Effect.flatMap((found) =>
        Option.isSome(found)
          ? Effect.succeed(found.value)
          : Effect.fail(
              new Unavailable({ operation, key: arbiterKey, reason: `no answer within ${Math.round(millis)} ms` })
            )
      )
    )

const trouble = (purpose: Purpose, mode: Arbiter["mode"], why: string): string =>
  purpose.kind === "change"
    ? `nothing is acknowledged until the change to mode ${purpose.rule.mode} is written: ${why}`
    : purpose.kind === "resignation"
      ? `the resignation could not be written: ${why}`
      : mode === "store"
        ? `the lease could not be renewed: ${why}`
        : `the term could not be renewed: ${why}`

export const layer = (
  options: ReignOptions
): Layer.Layer<Reign, never, ObjectStore | Supervisor | Log | NodeStatus | Settings> =>
  Layer.effect(
    Reign,
    Effect.gen(function* () {
      const store = yield* ObjectStore
      const supervisor = yield* Supervisor
      const log = yield* Log
      const status = yield* NodeStatus
      const settings = yield* Settings
      const clock = yield* Clock.Clock
      /** As this process's settings say it, whoever wrote the arbiter before. */
      const own = () => ({
        leaseMillis: options.leaseMillis(),
        timeoutMillis: settings.elector.deregistrationTimeoutMillis
      })
      const firstAttemptMillis = Math.min(attemptMaxMillis, Math.max(attemptMinMillis, options.leaseMillis() / 3))
      const now = (): Moment => ({
        monotonicMillis: Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n),
        wallMillis: clock.currentTimeMillisUnsafe()
      })

      const readBack = (timeoutMillis: number) =>
        store.get(arbiterKey).pipe(
          inTime("GET", timeoutMillis),
          Effect.map((object) => {
            const arbiter = decodeArbiter(object.body)
            if (typeof arbiter !== "string") return { arbiter, etag: object.etag }
            log.error("arbiter_unreadable", { key: arbiterKey, error: arbiter })
            return undefined
          }),
          Effect.catch((error) =>
            Effect.sync(() => {
              log.warn("arbiter_read_failed", { error: error.message })
              return undefined
            })
          )
        )

      const hold = (
        won: Won
      ): { readonly hold: Hold; readonly body: Effect.Effect<never>; readonly close: () => void } => {
        const { term } = won.arbiter
        const holding = new Holding(won.arbiter)
        let etag = won.etag
        let counter = won.arbiter.counter
        let state: "reigning" | "resigning" | "over" = "reigning"
        let change: { readonly rule: CommitRule; readonly done: Deferred.Deferred<void, Deposed> } | undefined
        let changeAsked = Deferred.makeUnsafe<void>()
        let listener: () => void = () => {}
        const over = Deferred.makeUnsafe<never, Deposed>()
        const renewed = Deferred.makeUnsafe<void, Deposed>()
        const resignAsked = Deferred.makeUnsafe<void>()
        /** The fiber that makes renewals and changes has ended. */
        const rested = Deferred.makeUnsafe<void>()

        const end = (by: string): Deposed => {
          const reason = new Deposed({ term, by })
          state = "over"
          holding.end()
          const failed = Exit.fail(reason)
          Deferred.doneUnsafe(over, failed)
          Deferred.doneUnsafe(renewed, failed)
          if (change !== undefined) Deferred.doneUnsafe(change.done, failed)
          status.setTrouble("arbiter", undefined)
          return reason
        }

        /** A function, so that what was asked before a request is not taken for true after it. */
        const isOver = (): boolean => state === "over"

        const landed = (next: Arbiter, newEtag: string, sent: Moment, purpose: Purpose): void => {
          etag = newEtag
          if (state !== "reigning") return
          holding.landed(next, sent, purpose.kind === "change")
          status.setTrouble("arbiter", undefined)
          Deferred.doneUnsafe(renewed, Exit.void)
          if (purpose.kind === "change") {
            const done = change?.done
            change = undefined
            if (done !== undefined) Deferred.doneUnsafe(done, Exit.void)
          }
          listener()
        }

        /** Writes until the outcome is known: landed, or deposed. A renewal gives up between attempts when a change waits. */
        const write = (purpose: Purpose): Effect.Effect<void, Deposed> =>
          Effect.gen(function* () {
            let delay = retryMinMillis
            let attemptMillis = firstAttemptMillis
            for (;;) {
              if (isOver()) return yield* new Deposed({ term, by: "the term is over" })
              if (purpose.kind === "renewal" && change !== undefined) return
              const next: Arbiter = {
                ...holding.arbiter,
                ...own(),
                ...(purpose.kind === "change" ? ruleOf(purpose.rule) : {}),
                resigned: purpose.kind === "resignation",
                allStored: purpose.kind === "resignation" && purpose.allStored,
                // Whatever happens to this request, its counter is used up.
                counter: ++counter
              }
              const sent = now()
              holding.sending(next, sent)
              const outcome = yield* store.put(arbiterKey, encodeArbiter(next), { ifMatch: etag }).pipe(
                Effect.map((put) => ({ landed: true as const, etag: put.etag })),
                inTime("PUT", attemptMillis),
                Effect.catch((error) => Effect.succeed({ landed: false as const, error }))
              )
              if (outcome.landed) return landed(next, outcome.etag, sent, purpose)
              const error = outcome.error.message
              if (!isOver()) status.setTrouble("arbiter", trouble(purpose, next.mode, error))
              log.warn("arbiter_write_failed", { term, counter, purpose: purpose.kind, error })
              const found = yield* readBack(attemptMillis)
              if (found !== undefined) {
                const verdict = judgeUnknownCas(found.arbiter, { term, counter })
                if (verdict === "deposed") {
                  return yield* end(
                    found.arbiter.term === term
                      ? "this process has resigned"
                      : `${showNode(found.arbiter.primary)} reigns in term ${found.arbiter.term}`
                  )
                }
                if (verdict === "landed") return landed(next, found.etag, sent, purpose)
                etag = found.etag
              }
              yield* Effect.sleep(delay)
              delay = Math.min(delay * 2, retryMaxMillis)
              attemptMillis = Math.min(attemptMillis * 2, attemptMaxMillis)
            }
          })

        const untilDueOrAsked = Effect.gen(function* () {
          for (;;) {
            const moment = now()
            const left = holding.renewDueMillis() - moment.monotonicMillis
            if (left <= 0 || change !== undefined || holding.drifted(moment)) return
            yield* Effect.raceFirst(Effect.sleep(Math.min(driftCheckMillis, left)), Deferred.await(changeAsked))
          }
        })

        const loop = Effect.gen(function* () {
          for (;;) {
            yield* untilDueOrAsked
            yield* write(change === undefined ? renewal : { kind: "change", rule: change.rule })
            if (log.debugging) log.debug("lease_renewed", { term, counter, mode: holding.arbiter.mode })
          }
        })
        // Being deposed is not this task's failure: `over` tells whoever reigns.
        const body = loop.pipe(
          Effect.catchTag("Deposed", () => Effect.void),
          Effect.raceFirst(Deferred.await(resignAsked)),
          Effect.ensuring(Deferred.succeed(rested, undefined)),
          Effect.andThen(Effect.never)
        )

        const resign = (allStored: boolean) =>
          Effect.gen(function* () {
            if (state !== "reigning") return
            state = "resigning"
            holding.end()
            yield* Deferred.succeed(resignAsked, undefined)
            const known = yield* Deferred.await(rested).pipe(
              Effect.andThen(write({ kind: "resignation", allStored })),
              Effect.as(true),
              // Somebody else reigns: there is nothing left to resign.
              Effect.catchTag("Deposed", () => Effect.succeed(true)),
              Effect.timeoutOption(resignTimeoutMillis),
              Effect.map(Option.isSome)
            )
            end("this process has resigned")
            log.info("primary_resigned", { term, known, all_stored: allStored })
          })

        return {
          body,
          close: () => {
            if (state !== "over") end("the term has been left")
          },
          hold: {
            term,
            arbiter: () => holding.arbiter,
            mayAcknowledge: () => holding.mayAcknowledge(now()),
            renewed: Deferred.await(renewed),
            change: (rule) =>
              Effect.suspend(() => {
                assert(change === undefined, "one change of the commit rule at a time")
                if (state !== "reigning") return Effect.fail(new Deposed({ term, by: "the term is over" }))
                holding.open()
                const done = Deferred.makeUnsafe<void, Deposed>()
                change = { rule, done }
                Deferred.doneUnsafe(changeAsked, Exit.void)
                changeAsked = Deferred.makeUnsafe<void>()
                return Deferred.await(done)
              }),
            onRenewed: (told) => {
              listener = told
            },
            over: Deferred.await(over),
            depose: (by) => {
              if (state !== "over") end(by)
            },
            resign: resign(false),
            resignStored: resign(true)
          }
        }
      }

      let holds = false
      const begin = (won: Won): Effect.Effect<Hold, never, Scope.Scope> =>
        Effect.gen(function* () {
          assert(!holds, "one term at a time")
          holds = true
          const held = hold(won)
          yield* Effect.addFinalizer(() =>
            Effect.sync(() => {
              held.close()
              holds = false
            })
          )
          yield* supervisor.spawn("reign", held.body)
          return held.hold
        })

      return Reign.of({ begin })
    })
  )

const ruleOf = (rule: CommitRule): Pick<Arbiter, "mode" | "voters" | "required"> =>
  rule.mode === "store"
    ? { mode: "store", voters: [], required: 0 }
    : { mode: "quorum", voters: rule.voters, required: rule.required }
