/**
 * What clients of an etcd-like store did and saw: the operations with the times between which each took effect, and the
 * watches. Keys and values are strings here (bytes as latin1), so that a history can be read and written down.
 */

export interface Kv {
  readonly key: string
  readonly value: string
  readonly create: number
  readonly mod: number
  readonly version: number
}

/** `end` as in etcd: undefined one key, `\0` everything from the key on. */
export interface Span {
  readonly key: string
  readonly end?: string | undefined
}

export interface Put {
  readonly kind: "put"
  readonly key: string
  readonly value: string
}
export interface Delete extends Span {
  readonly kind: "delete"
}
export interface Get extends Span {
  readonly kind: "get"
  /** 0 or absent: no limit. */
  readonly limit?: number | undefined
  /** 0 or absent: the newest. Only for a get that is a request of its own. */
  readonly revision?: number | undefined
  readonly serializable?: boolean | undefined
}
export interface Compare extends Span {
  readonly target: "version" | "create" | "mod" | "value"
  readonly is: "=" | "!=" | ">" | "<"
  readonly than: number | string
}
export interface Txn {
  readonly kind: "txn"
  readonly compares: ReadonlyArray<Compare>
  readonly success: ReadonlyArray<Request>
  readonly failure: ReadonlyArray<Request>
}
export type Request = Put | Delete | Get | Txn

export type Result =
  | { readonly kind: "put"; readonly previous?: Kv | undefined }
  | { readonly kind: "delete"; readonly deleted: number; readonly previous?: ReadonlyArray<Kv> | undefined }
  | { readonly kind: "get"; readonly kvs: ReadonlyArray<Kv>; readonly count: number }
  | { readonly kind: "txn"; readonly succeeded: boolean; readonly results: ReadonlyArray<Result> }

/** `revision` is that of the header: a write's own, the store's newest for a read. */
export interface Answer {
  readonly revision: number
  readonly result: Result
}

export type Outcome =
  | { readonly kind: "ok"; readonly answer: Answer }
  /** Nothing happened and nothing will. */
  | { readonly kind: "failed"; readonly reason: string }
  /** It may have happened, or not, or it may happen later. */
  | { readonly kind: "unknown"; readonly reason: string }

export interface Operation {
  readonly id: number
  readonly client: string
  readonly request: Request
  readonly invoked: number
  /** Infinity when nobody was answered. */
  readonly returned: number
  readonly outcome: Outcome
}

export interface WatchEvent {
  readonly kind: "put" | "delete"
  readonly key: string
  readonly revision: number
  /** Of a put. */
  readonly kv?: Kv | undefined
  /** Only where it was asked for and there was one. */
  readonly previous?: Kv | undefined
}

/** One response of a watch stream; without events it is a bookmark. `fragment`: its revision goes on in the next one. */
export interface WatchResponse {
  readonly at: number
  readonly revision: number
  readonly fragment: boolean
  readonly events: ReadonlyArray<WatchEvent>
}

/** One watch from its creation to its end. A client that resumes makes another one. */
export interface Watch extends Span {
  readonly client: string
  /** The first revision that it owes. */
  readonly from: number
  readonly responses: ReadonlyArray<WatchResponse>
}

export interface History {
  /** In the order of invocation, `id` is the index. */
  readonly operations: ReadonlyArray<Operation>
  readonly watches: ReadonlyArray<Watch>
  /** What was there before; default: nothing, revision 1. */
  readonly initial?: { readonly revision: number; readonly kvs: ReadonlyArray<Kv> } | undefined
}

const allKeys = "\0"

export const covers = ({ key, end }: Span, candidate: string): boolean =>
  end === undefined || end === "" ? candidate === key : candidate >= key && (end === allKeys || candidate < end)

/** Whether the request may change something, whatever the state is. */
export const mayWrite = (request: Request): boolean =>
  request.kind === "txn"
    ? request.success.some(mayWrite) || request.failure.some(mayWrite)
    : request.kind === "put" || request.kind === "delete"

/** Whether the answer says that something was changed: then its revision is the write's own. */
export const didWrite = (result: Result): boolean => {
  switch (result.kind) {
    case "put":
      return true
    case "delete":
      return result.deleted > 0
    case "get":
      return false
    case "txn":
      return result.results.some(didWrite)
  }
}

export const isSerializable = (request: Request): boolean =>
  request.kind === "get"
    ? request.serializable === true
    : request.kind === "txn" &&
      !mayWrite(request) &&
      [...request.success, ...request.failure].length > 0 &&
      [...request.success, ...request.failure].every(isSerializable)
