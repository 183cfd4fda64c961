/**
 * What the AWS SDK throws, sorted by what the caller can do. HTTP status first; S3's code decides only where one status
 * means several things. Texts name the status and S3's code.
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

interface Thrown {
  readonly name?: unknown
  readonly message?: unknown
  readonly code?: unknown
  readonly Code?: unknown
  readonly $metadata?: { readonly httpStatusCode?: unknown }
  readonly $response?: { readonly statusCode?: unknown }
}

// 4xx answers that say "later", whatever their status.
const laterCodes = new Set([
  "RequestTimeout",
  "RequestTimeTooSkewed",
  "SlowDown",
  "Throttling",
  "ThrottlingException",
  "RequestThrottled",
  "RequestThrottledException",
  "RequestLimitExceeded",
  "TooManyRequestsException"
])

const text = (value: unknown): string => (typeof value === "string" ? value : "")

const describe = (status: number | undefined, code: string, message: string): string => {
  const head = status === undefined ? code : `HTTP ${status} ${code}`
  return message === "" || message === code ? head : `${head}: ${message}`
}

export const classify = (kind: RequestKind, operation: string, key: string, error: unknown): ObjectStoreError => {
  const thrown: Thrown = typeof error === "object" && error !== null ? error : { message: String(error) }
  const found = thrown.$metadata?.httpStatusCode ?? thrown.$response?.statusCode
  const status = typeof found === "number" && found > 0 ? found : undefined
  const code = text(thrown.Code) || text(thrown.code) || text(thrown.name) || "Error"
  const name = text(thrown.name) || code
  const reason = describe(status, status === undefined ? code : name, text(thrown.message))
  if (status === undefined) {
    // No answer at all. Missing credentials do not come back by trying; sockets, names and timeouts may.
    return name === "CredentialsProviderError" || name === "TokenProviderError"
      ? new Denied({ operation, key, reason: `credentials: ${text(thrown.message)}` })
      : new Unavailable({ operation, key, reason })
  }
  if (status === 404 && name !== "NoSuchBucket" && name !== "NoSuchUpload") {
    if (kind === "read") return new NotFound({ operation, key })
    if (kind === "ifMatch") return new PreconditionFailed({ operation, key })
  }
  const writes = kind === "write" || kind === "ifMatch"
  if (status === 412 && writes) return new PreconditionFailed({ operation, key })
  if (status === 409 && writes) return new Conflict({ operation, key })
  const later =
    status >= 500 || status === 408 || status === 409 || status === 429 || status < 300 || laterCodes.has(name)
  return later ? new Unavailable({ operation, key, reason }) : new Denied({ operation, key, reason })
}
