/** `GET /health/leadership`: whether this node holds the Elector's lock (netsy-1x.md 5.4). */
import { type Clock, DateTime } from "effect"
import type { HttpRequest, HttpResponse } from "../../services/HttpApi.ts"
import type { Leadership } from "../../services/Leadership.ts"

const path = "/health/leadership"

export const leadershipHttp =
  (leadership: Leadership["Service"], clock: Clock.Clock) =>
  (request: HttpRequest, response: HttpResponse): void => {
    const text = (status: number, body: string): void => {
      response.writeHead(status, { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" })
      response.end(`${body}\n`)
    }
    if ((request.url ?? "").split("?")[0] !== path) return text(404, "404 page not found")
    if (request.method !== "GET") return text(405, "Method not allowed")
    const leader = leadership.current()
    if (leader === undefined) return text(404, "Not leader")
    const lastUpdated = DateTime.formatIso(DateTime.makeUnsafe(clock.currentTimeMillisUnsafe()))
    response.writeHead(200, { "content-type": "application/json" })
    response.end(`${JSON.stringify({ ...leader, lastUpdated })}\n`)
  }
