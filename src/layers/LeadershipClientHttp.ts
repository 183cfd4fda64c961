/**
 * `LeadershipClient` over HTTP: asks another node's election port as s3lect does (netsy-1x.md 5.3, 5.4), over TLS with the
 * cluster's CA and a check of the host name, without a client certificate; in plain text with `--insecure`. Up to three
 * quick tries, all within the time of the caller.
 */
import { type IncomingMessage, request as plainRequest } from "node:http"
import { request as secureRequest, type RequestOptions } from "node:https"
import { Effect, Layer, Schedule } from "effect"
import { parseHostPort } from "../core/config/address.ts"
import { Identity } from "../services/Identity.ts"
import type { Leader } from "../services/Leadership.ts"
import { LeadershipClient, LeadershipUnreachable } from "../services/LeadershipClient.ts"

const path = "/health/leadership"
/** More is not an answer to this question. */
const bodyBytesMax = 16_384
const triesMax = 3
const pauseMillis = 100

const understand = (status: number, body: string): Leader | "not leader" | string => {
  if (status === 404 || status === 200) {
    if (status === 404) return body.trim() === "Not leader" ? "not leader" : "not an election port: HTTP 404"
    try {
      const { leaderID, leaderAddr } = JSON.parse(body) as Record<string, unknown>
      if (typeof leaderID === "string" && leaderID !== "" && typeof leaderAddr === "string") {
        return { leaderID, leaderAddr }
      }
    } catch {
      return "the answer is not JSON"
    }
    return "the answer names no leader"
  }
  return `HTTP ${status}`
}

/** Gathers the answer; `done` is called once. */
const receive = (response: IncomingMessage, done: (found: ReturnType<typeof understand>) => void): void => {
  const parts: Array<Buffer> = []
  let size = 0
  response.on("data", (part: Buffer) => {
    size += part.length
    if (size > bodyBytesMax) {
      response.destroy()
      return done(`the answer is longer than ${bodyBytesMax} bytes`)
    }
    parts.push(part)
  })
  response.on("end", () => done(understand(response.statusCode ?? 0, Buffer.concat(parts).toString())))
  response.on("error", (error) => done(error.message))
}

export const layer: Layer.Layer<LeadershipClient, never, Identity> = Layer.effect(
  LeadershipClient,
  Effect.gen(function* () {
    const identity = yield* Identity

    const options = (host: string, port: number): RequestOptions => {
      const common = { host, port, path, method: "GET", agent: false as const }
      if (!identity.secure) return common
      const { ca } = identity.clientOptions()
      return { ...common, ...(ca === undefined ? {} : { ca }), minVersion: "TLSv1.2" }
    }

    const askOnce = (address: string) =>
      Effect.callback<Leader | "not leader", LeadershipUnreachable>((resume) => {
        const unreachable = (reason: string) => Effect.fail(new LeadershipUnreachable({ address, reason }))
        const parsed = parseHostPort(address)
        if (!parsed.ok) return resume(unreachable(parsed.reason))
        const { host, port } = parsed.address
        const request = (identity.secure ? secureRequest : plainRequest)(options(host, port), (response) =>
          receive(response, (found) =>
            resume(typeof found === "string" && found !== "not leader" ? unreachable(found) : Effect.succeed(found))
          )
        )
        request.on("error", (error) => resume(unreachable(error.message)))
        request.end()
        return Effect.sync(() => request.destroy())
      })

    return LeadershipClient.of({
      ask: (address, timeoutMillis) =>
        askOnce(address).pipe(
          Effect.retry({ times: triesMax - 1, schedule: Schedule.spaced(pauseMillis) }),
          Effect.timeoutOrElse({
            duration: timeoutMillis,
            orElse: () =>
              Effect.fail(new LeadershipUnreachable({ address, reason: `no answer within ${timeoutMillis} ms` }))
          })
        )
    })
  })
)
