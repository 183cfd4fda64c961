/** What a handler gets and what it gives back. */
import type { IncomingMessage } from "node:http"
import type { OperationGroup } from "./faults.ts"
import type { ConditionKeys } from "./policy.ts"
import type { Storage } from "./storage.ts"

export interface Context {
  readonly request: IncomingMessage
  readonly storage: Storage
  readonly bucket: string
  readonly key: string
  readonly query: URLSearchParams
  readonly requestId: string
  /** `Storage.begin` of when the head arrived. */
  readonly begun: number
  readonly nowMillis: () => number
  /** Whether this IAM action is allowed on the resource (a missing object is a 403 for who may not list). */
  readonly allowed: (action: string, resource: string, keys?: ConditionKeys) => boolean
}

export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer | { readonly fd: number; readonly start: number; readonly size: number }
}

export interface Operation {
  /** S3's own name, for the log. */
  readonly name: string
  /** IAM's name. */
  readonly action: string
  readonly group: OperationGroup
  readonly run: (context: Context) => Reply | Promise<Reply>
}

export const s3Namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

export const xmlReply = (body: string, headers: Readonly<Record<string, string>> = {}): Reply => ({
  status: 200,
  headers: { "content-type": "application/xml", ...headers },
  body
})

export const headerOf = (context: Context, name: string): string | undefined => {
  const value = context.request.headers[name]
  return Array.isArray(value) ? value.join(",") : value
}
