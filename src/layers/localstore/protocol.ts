/** What crosses between the main thread and the database's thread. Shapes are uniform; `worker.ts` gives them meaning. */

export type RequestName =
  | "open"
  | "append"
  | "bounds"
  | "truncateFrom"
  | "clear"
  | "restore"
  | "entries"
  | "termAt"
  | "changes"
  | "versions"
  | "viewOpen"
  | "viewNext"
  | "viewClose"
  | "promise"
  | "newIncarnation"
  | "abandon"
  | "statePart"
  | "compactBegin"
  | "compactStep"
  | "spaceStep"
  | "spaceEnd"
  | "readImported"
  | "importDone"
  | "getMeta"
  | "setMeta"
  | "size"
  | "close"

export interface Request {
  readonly id: number
  readonly name: RequestName
  readonly numbers: ReadonlyArray<number>
  readonly text: string
  /** Transferred, `length` bytes of it in use. */
  readonly buffer: ArrayBuffer | undefined
  readonly length: number
}

export interface Reply {
  readonly id: number
  readonly numbers: ReadonlyArray<number>
  readonly text: string
  readonly buffer: ArrayBuffer | undefined
  readonly length: number
  readonly failure: Failure | undefined
}

/** `defect`: a broken invariant of ours or of the caller; `failed`: the disk or the database. */
export interface Failure {
  readonly kind: "failed" | "defect"
  readonly path: string
  readonly reason: string
}

/** The answer of `open`, as JSON in `text`. */
export interface OpenedFacts {
  readonly incarnation: string
  readonly starts: number
  readonly fenced: number
  readonly reigned: number
  readonly setAside: { readonly path: string; readonly reason: string } | null
  readonly imported: {
    readonly path: string
    readonly count: number
    readonly lastRevision: number
    readonly floor: number
  } | null
}

/** The order of the numbers that answer `open` and `bounds`. */
export const boundsNumbers = (log: {
  readonly lastIndex: number
  readonly lastTerm: number
  readonly lastRevision: number
  readonly baseIndex: number
  readonly floor: number
  readonly commitIndex: number
}): ReadonlyArray<number> => [
  log.lastIndex,
  log.lastTerm,
  log.lastRevision,
  log.baseIndex + 1,
  log.floor,
  log.commitIndex
]
