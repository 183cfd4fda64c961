/**
 * What a request to GCS ends in, sorted by what the caller can do. HTTP status first; the reason and text that Google
 * gives decide only where one status means several things.
 */
import {
  Conflict,
  Denied,
  NotFound,
  type ObjectStoreError,
  PreconditionFailed,
  Unavailable
} from "../../services/ObjectStore.ts"
import type { RequestKind } from "./calls.ts"

/** GCS answered, and not with success. */
export class Refused extends Error {
  override readonly name = "Refused"
  readonly status: number
  readonly reason: string

  constructor(status: number, reason: string, message: string) {
    super(message)
    this.status = status
    this.reason = reason
  }
}

/** No token could be had; `again` when that may pass. */
class NoToken extends Error {
  override readonly name = "NoToken"
  readonly again: boolean

  constructor(again: boolean, message: string) {
    super(message)
    this.again = again
  }
}

const messageChars = 400

/** An answer's body: JSON with `error.errors[].reason`, or plain text. */
export const refused = (status: number, body: string): Refused => {
  try {
    const { error } = JSON.parse(body) as {
      readonly error?: {
        readonly message?: unknown
        readonly errors?: ReadonlyArray<{ readonly reason?: unknown }>
        readonly status?: unknown
      }
    }
    const reason = error?.errors?.[0]?.reason ?? error?.status ?? ""
    return new Refused(status, String(reason), String(error?.message ?? "").slice(0, messageChars))
  } catch {
    const line = body.replaceAll(/(?:<[^>]*>|\s)+/g, " ").trim()
    return new Refused(status, "", line.slice(0, messageChars))
  }
}

interface Thrown {
  readonly name?: unknown
  readonly message?: unknown
  readonly code?: unknown
  readonly status?: unknown
  readonly response?: { readonly status?: unknown }
}

const later = (status: number): boolean => status >= 500 || status === 408 || status === 429

/** What Google's credentials library throws: a refusal of the token server is final, a bad line to it is not. */
export const noToken = (error: unknown): NoToken => {
  const thrown: Thrown = typeof error === "object" && error !== null ? error : { message: String(error) }
  const status = Number(thrown.response?.status ?? thrown.status)
  const message = String(thrown.message ?? "")
  const line = /^(ECONN|ETIMEDOUT|EAI_AGAIN|EPIPE|EHOST|ENET|ENOTFOUND|AbortError|TimeoutError)/
  const again =
    status > 0 ? later(status) : line.test(String(thrown.code ?? "")) || line.test(String(thrown.name ?? ""))
  return new NoToken(again, message)
}

const text = (value: unknown): string => (typeof value === "string" ? value : "")

export const classify = (kind: RequestKind, operation: string, key: string, error: unknown): ObjectStoreError => {
  if (error instanceof NoToken) {
    const reason = `credentials: ${error.message}`
    return error.again ? new Unavailable({ operation, key, reason }) : new Denied({ operation, key, reason })
  }
  if (!(error instanceof Refused)) {
    const thrown: Thrown = typeof error === "object" && error !== null ? error : { message: String(error) }
    const code = text(thrown.code)
    const message = text(thrown.message)
    const reason = code === "" || message.includes(code) ? message || code : `${code}: ${message}`
    return new Unavailable({ operation, key, reason })
  }
  const { status, reason: word, message } = error
  const head = word === "" ? `HTTP ${status}` : `HTTP ${status} ${word}`
  const reason = message === "" || message === word ? head : `${head}: ${message}`
  const writes = kind === "write" || kind === "ifMatch"
  if (status === 404 && !/bucket does not exist/i.test(message)) {
    if (kind === "read") return new NotFound({ operation, key })
    if (kind === "ifMatch") return new PreconditionFailed({ operation, key })
  }
  if (status === 412 && writes) return new PreconditionFailed({ operation, key })
  if (status === 409 && writes) return new Conflict({ operation, key })
  const passing =
    later(status) ||
    status === 409 ||
    status < 300 ||
    /rateLimitExceeded/i.test(word) ||
    // Checked before anything is stored: the bytes were damaged on their way.
    (status === 400 && /crc32c/i.test(message))
  return passing ? new Unavailable({ operation, key, reason }) : new Denied({ operation, key, reason })
}
