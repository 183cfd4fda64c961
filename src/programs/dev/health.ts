/** Waiting for an instance to become ready, with what it waits for shown to the developer. */
import { Clock, Effect } from "effect"
import type { Instance } from "./instances.ts"
import { DevError, lastLines, pidOf } from "./processes.ts"

export interface Answer {
  /** 0: no answer. */
  readonly status: number
  /** On one line and cut, or why there is no answer. */
  readonly text: string
}

const probeLimitMillis = 2_000

/** One GET; no answer is an answer too. */
export const probe = (url: string): Effect.Effect<Answer> =>
  Effect.tryPromise(async (signal) => {
    const response = await fetch(url, { signal })
    const text = (await response.text())
      .trim()
      .replaceAll(/\s*\n\s*/g, ", ")
      .slice(0, 160)
    return { status: response.status, text }
  }).pipe(
    Effect.timeout(probeLimitMillis),
    Effect.orElseSucceed(() => ({ status: 0, text: "no answer yet" }))
  )

const pollMillis = 250
const tailLines = 20

/** The process ended, or Node's watcher says that what it watches did and waits for a change. */
export const ended = (instance: Instance): boolean =>
  pidOf(instance) === undefined ||
  lastLines(instance, 3).some((line) => line.includes("Waiting for file changes before restarting"))

/** Succeeds when `isReady(answer)`; fails with the end of the log when the instance ends, or after `limitMillis`. */
export const waitUntilReady = Effect.fnUntraced(function* (
  instance: Instance,
  limitMillis: number,
  isReady: (answer: Answer) => boolean
) {
  const begin = yield* Clock.currentTimeMillis
  let shown = ""
  for (;;) {
    const answer = yield* probe(instance.readyUrl)
    if (isReady(answer)) return
    const passed = (yield* Clock.currentTimeMillis) - begin
    const gone = ended(instance)
    if (gone || passed > limitMillis) {
      const why = gone ? "ended while it started" : `is not ready after ${limitMillis / 1000} s (${answer.text})`
      const tail = lastLines(instance, tailLines).map((line) => `  | ${line}`)
      return yield* new DevError({
        message: [`${instance.name} ${why}. The end of ${instance.logFile}:`, ...tail].join("\n")
      })
    }
    // Quiet for the first second: most starts are over by then.
    if (passed > 1_000 && answer.text !== shown) {
      shown = answer.text
      yield* Effect.sync(() => console.log(`    ${instance.name}: ${answer.text}`))
    }
    yield* Effect.sleep(pollMillis)
  }
})
