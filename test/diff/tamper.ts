/** Changes one thing in what a server said, as a bug would: the comparison must notice every one of these. */
import type { Plain } from "./messages.ts"
import type { Answer, StreamLog, Transcript, WatchLog } from "./operations.ts"

/** Either one answer or one stream of the transcript, changed. */
export type Tampered =
  | { readonly kind: "answer"; readonly what: string; readonly operation: number; readonly answer: Answer }
  | { readonly kind: "stream"; readonly what: string; readonly stream: number; readonly log: StreamLog }

interface Change {
  /** Path of field names. */
  readonly where: string
  readonly value: unknown
}

/** Every number, text and truth in a message changed, one at a time; of every list, one dropped and one doubled. */
const changes = (value: unknown, where = ""): ReadonlyArray<Change> => {
  if (typeof value === "number") return [{ where, value: value + 1 }]
  if (typeof value === "string") return [{ where, value: `${value}x` }]
  if (typeof value === "boolean") return [{ where, value: !value }]
  if (Array.isArray(value)) {
    const list: ReadonlyArray<unknown> = value
    const inside = list.flatMap((one, at) =>
      changes(one, where).map((change) => ({ where: change.where, value: list.with(at, change.value) }))
    )
    if (list.length === 0) return []
    return [...inside, { where, value: list.slice(1) }, { where, value: [...list, list.at(-1)] }]
  }
  if (typeof value !== "object" || value === null) return []
  return Object.entries(value).flatMap(([name, one]) =>
    changes(one, `${where}.${name}`).map((change) => ({ ...change, value: { ...value, [name]: change.value } }))
  )
}

const answersOf = (transcript: Transcript): ReadonlyArray<Tampered> =>
  transcript.answers.flatMap((answer, operation) => {
    if (answer === undefined) return []
    const make = (what: string, changed: Answer): Tampered => ({ kind: "answer", what, operation, answer: changed })
    return [
      make("code", { ...answer, code: answer.code + 1 }),
      make("text", { ...answer, details: `${answer.details}.` }),
      ...changes(answer.body).map(({ value, where }) => make(where, { ...answer, body: value as Plain }))
    ]
  })

const watchesOf = (log: WatchLog): ReadonlyArray<readonly [string, WatchLog]> => {
  const { events } = log
  const at = Math.floor(events.length / 2)
  const found: Array<readonly [string, WatchLog]> = [
    ["ended", { ...log, ended: log.ended === undefined ? { canceled: true } : undefined }],
    ...changes(log.created).map(({ value, where }) => [`created${where}`, { ...log, created: value as Plain }] as const)
  ]
  if (events.length === 0) return found
  return [
    ...found,
    ["an event is dropped", { ...log, events: events.toSpliced(at, 1) }],
    ["an event comes twice", { ...log, events: events.toSpliced(at, 0, events[at]!) }],
    ...changes(events[at]).map(
      ({ value, where }) => [`event${where}`, { ...log, events: events.with(at, value as Plain) }] as const
    )
  ]
}

const streamsOf = (transcript: Transcript): ReadonlyArray<Tampered> =>
  transcript.streams.flatMap((log, stream) => {
    const make = (what: string, changed: StreamLog): Tampered => ({ kind: "stream", what, stream, log: changed })
    return [
      make("a broken promise", { ...log, violations: ["something"] }),
      make("the end", { ...log, ended: { code: 14, details: "etcdserver: no leader" } }),
      make("an answer to a cancel", { ...log, canceledAgain: [...log.canceledAgain, 1] }),
      ...log.watches.flatMap((watch, at) =>
        watchesOf(watch).map(([what, changed]) => make(what, { ...log, watches: log.watches.with(at, changed) }))
      ),
      ...log.progress.flatMap((one, at) => [
        make("a progress revision", {
          ...log,
          progress: log.progress.with(at, { ...one, revision: one.revision + 1 })
        }),
        make("a progress response", { ...log, progress: log.progress.toSpliced(at, 1) })
      ])
    ]
  })

export const tampered = (transcript: Transcript): ReadonlyArray<Tampered> => [
  ...answersOf(transcript),
  ...streamsOf(transcript)
]
