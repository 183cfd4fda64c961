/** Who may ask from a browser, and under which name: CORS and the whitelist of hosts, as in etcd. */
import type { HttpRequest, HttpResponse } from "../../services/HttpApi.ts"
import { closing, sendText } from "./answers.ts"

export interface HttpAccess {
  /** Origins; `*` or none at all: every one. */
  readonly cors: ReadonlyArray<string>
  /** Hosts without TLS; `*` or none at all: every one. */
  readonly hostWhitelist: ReadonlyArray<string>
}

const hostOf = (request: HttpRequest): string => {
  const host = request.headers.host ?? request.headers[":authority"]
  return typeof host === "string" ? host.replace(/:\d*$/, "").replace(/^\[(.*)\]$/, "$1") : ""
}

const isSecure = (request: HttpRequest): boolean =>
  (request.socket as { readonly encrypted?: boolean }).encrypted === true

/** Sets the headers; true when the request has been answered with that. */
export const makeAccess = ({ cors, hostWhitelist }: HttpAccess) => {
  const origins = new Set(cors)
  const hosts = new Set(hostWhitelist)
  const anyOrigin = origins.size === 0 || origins.has("*")
  const anyHost = hosts.size === 0 || hosts.has("*")

  const allow = (response: HttpResponse, origin: string): void => {
    response.setHeader("access-control-allow-methods", "POST, GET, OPTIONS, PUT, DELETE")
    response.setHeader("access-control-allow-origin", origin)
    response.setHeader("access-control-allow-headers", "accept, content-type, authorization")
  }

  return (request: HttpRequest, response: HttpResponse): boolean => {
    if (!anyHost && !isSecure(request) && !hosts.has(hostOf(request))) {
      const text = `netsy: host ${JSON.stringify(hostOf(request))} is not in the whitelist of hosts\n`
      sendText(response, 421, text, closing(request))
      return true
    }
    const { origin } = request.headers
    if (anyOrigin) allow(response, "*")
    else if (origin !== undefined && origins.has(origin)) allow(response, origin)
    if (request.method !== "OPTIONS") return false
    response.writeHead(200, { "content-length": 0, ...closing(request) })
    response.end("")
    return true
  }
}
