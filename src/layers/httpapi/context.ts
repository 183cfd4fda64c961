/** What a gateway call carries besides its message: headers that become metadata, and its deadline. */
import type { CallContext } from "../../services/ClientApi.ts"
import type { HttpRequest, HttpResponse } from "../../services/HttpApi.ts"

const prefix = "grpc-metadata-"

/** These keep their name; any other has to say that it is metadata (`Grpc-Metadata-…`). */
const plainNames = new Set(["authorization", "token"])

/** A certificate says nothing here: through etcd's gateway only a token names a user. */
export const contextOf = (request: HttpRequest, response: HttpResponse): CallContext => ({
  identity: undefined,
  commonName: undefined,
  metadata: (name) => {
    const wanted = name.toLowerCase()
    const found = request.headers[prefix + wanted] ?? (plainNames.has(wanted) ? request.headers[wanted] : undefined)
    return Array.isArray(found) ? found[0] : found
  },
  onClosed: (listener) => {
    if (response.destroyed) listener()
    else response.once("close", listener)
  }
})

const unitMillis: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 0.001,
  n: 0.000001
}

/** The longest time a timer can be set to. */
const timerMillisMax = 0x7fffffff

/** `Grpc-Timeout`; undefined: none, or one that is not worth a timer. */
export const timeoutMillis = (request: HttpRequest): number | undefined => {
  const header = request.headers["grpc-timeout"]
  const match = /^(\d{1,8})([HMSmun])$/.exec(typeof header === "string" ? header : "")
  if (match === null) return undefined
  const millis = Math.trunc(Number(match[1]) * unitMillis[match[2]!]!)
  return millis > timerMillisMax ? undefined : millis
}
