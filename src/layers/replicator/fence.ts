/**
 * `Fence` of design 6.4, in either role: from the moment it arrives nothing of a lower term is answered; it is answered
 * itself when the promise is on the disk, behind every append before it, and says what the disk holds then.
 */
import { Effect, Latch } from "effect"
import { decodeFenceRequest, encodeFenceAnswer } from "../../core/wire/peer/codecs.ts"
import type { NodeReport } from "../../core/wire/peer/messages.ts"
import type { LocalStoreFailed } from "../../services/LocalStore.ts"
import type { Log } from "../../services/Log.ts"
import type { PeerAnswer, PeerMethod } from "../../services/PeerNetwork.ts"
import type { NodeLog } from "./NodeLog.ts"

/** Electors that wait for an answer at the same time; there are one or two. */
const waitingMax = 64
/** gRPC's: InvalidArgument, ResourceExhausted. */
const invalid = 3
const exhausted = 8

export interface FenceParts {
  readonly log: NodeLog
  readonly journal: Log["Service"]
  readonly report: () => NodeReport
  /** Told at once, before anything else happens: a Primary of a lower term is deposed. */
  readonly onFenced: (term: number) => void
}

export interface Fence {
  readonly handler: PeerMethod
  /** Writes the promises and answers; a task of its own. */
  readonly task: Effect.Effect<never, LocalStoreFailed>
}

interface Asked {
  readonly term: number
  readonly answer: PeerAnswer
}

export const makeFence = ({ journal, log, onFenced, report }: FenceParts): Fence => {
  const wake = Latch.makeUnsafe(false)
  let asked: Array<Asked> = []

  const handler: PeerMethod = (request, from, answer) => {
    let term: number
    try {
      term = decodeFenceRequest(request).term
    } catch (error) {
      return answer.fail(invalid, error instanceof Error ? error.message : String(error))
    }
    if (asked.length >= waitingMax) return answer.fail(exhausted, `${waitingMax} fences wait for the disk`)
    if (term > log.fenced) {
      journal.info("fenced", { term, before: log.fenced, by: from })
      log.raiseFence(term)
      onFenced(term)
    }
    asked.push({ term, answer })
    wake.openUnsafe()
  }

  const answerOf = ({ term }: Asked): Uint8Array =>
    encodeFenceAnswer({
      fenced: term === log.fenced,
      // What is on the disk, not what was handed to it: an election may rest on it.
      report: { ...report(), fenced: log.fenced, last: log.durable, commitIndex: log.commitIndex }
    })

  const task = Effect.gen(function* () {
    for (;;) {
      yield* wake.await
      wake.closeUnsafe()
      const now = asked
      asked = []
      if (log.fencedDurable < log.fenced) yield* log.promise({ fenced: log.fenced, reigned: log.reigned })
      for (const one of now) one.answer.succeed(answerOf(one))
    }
  })

  return { handler, task }
}
