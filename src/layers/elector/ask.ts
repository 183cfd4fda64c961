/** One question to several nodes at once, and what those that answered said. */
import { Effect } from "effect"
import type { NodeInfo } from "../../core/wire/peer/messages.ts"
import type { PeerNetwork } from "../../services/PeerNetwork.ts"
import { Alarm, type ElectorParts } from "./parts.ts"

export interface Asked {
  readonly info: NodeInfo
  /** It is waited for as long as it takes; others only while too few have answered. */
  readonly isExpected: boolean
}

export interface Question<A> {
  readonly method: string
  readonly request: Uint8Array
  /** May throw: then it was no answer. */
  readonly decode: (response: Uint8Array) => A
  readonly timeoutMillis: number
  /** Are these answers sufficient? */
  readonly enough: (answers: ReadonlyArray<A>) => boolean
}

/** Once there are enough answers, those that are expected are waited for so much longer. */
const graceMillis = 250

export const ask = <A>(
  parts: Pick<ElectorParts, "peers" | "nowMillis" | "log">,
  nodes: ReadonlyArray<Asked>,
  question: Question<A>
): Effect.Effect<ReadonlyArray<A>> =>
  Effect.suspend(() => {
    const { peers, nowMillis } = parts
    const alarm = new Alarm()
    const answers: Array<A> = []
    let open = nodes.length
    let expected = nodes.filter(({ isExpected }) => isExpected).length
    const cancels = nodes.map(({ info, isExpected }) => {
      const done = (): void => {
        open--
        if (isExpected) expected--
        alarm.ring()
      }
      return call(peers, info, question, {
        succeed: (answer) => {
          answers.push(answer)
          done()
        },
        fail: (reason) => {
          parts.log.debug("elector_question_failed", { node: info.name.nodeId, method: question.method, reason })
          done()
        }
      })
    })
    const startedAt = nowMillis()
    const collect = Effect.gen(function* () {
      let enoughAt: number | undefined
      for (;;) {
        const now = nowMillis()
        if (open === 0 || now - startedAt >= question.timeoutMillis) return answers
        if (question.enough(answers)) {
          enoughAt ??= now
          if (expected === 0 || now - enoughAt >= graceMillis) return answers
        }
        const until = Math.min(
          startedAt + question.timeoutMillis,
          enoughAt === undefined ? Infinity : enoughAt + graceMillis
        )
        yield* alarm.sleep(until - now)
      }
    })
    return Effect.ensuring(
      collect,
      Effect.sync(() => {
        for (const cancel of cancels) cancel()
      })
    )
  })

const call = <A>(
  peers: PeerNetwork["Service"],
  info: NodeInfo,
  question: Question<A>,
  told: { readonly succeed: (answer: A) => void; readonly fail: (reason: string) => void }
): (() => void) =>
  peers.call(
    { nodeId: info.name.nodeId, address: info.peerAddress },
    question.method,
    question.request,
    question.timeoutMillis,
    {
      succeed: (response) => {
        let answer: A
        try {
          answer = question.decode(response)
        } catch (error) {
          return told.fail(error instanceof Error ? error.message : String(error))
        }
        told.succeed(answer)
      },
      fail: (error) => told.fail(error.message)
    }
  )
