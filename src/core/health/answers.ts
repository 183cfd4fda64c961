/** What `/health`, `/livez` and `/readyz` answer, from the node's states. Pure. */
import type { HealthState, PrimaryState, Waiting } from "../../services/NodeStatus.ts"
import type { StatusJson } from "../status/document.ts"

export interface HealthView {
  readonly health: HealthState
  readonly primary: PrimaryState
  /** 0n: there is no Primary. */
  readonly leaderMemberId: bigint
  readonly waiting: Waiting | undefined
  readonly troubles: ReadonlyArray<string>
}

export interface HealthAnswer {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

const text = "text/plain; charset=utf-8"

/** As Netsy 1.x: 200 only when healthy. */
export const healthAnswer = (health: HealthState): HealthAnswer => ({
  status: health === "healthy" ? 200 : 503,
  contentType: "application/json",
  body: `${JSON.stringify({ status: health })}\n`
})

/** The process runs its main loop; restarting it would help nobody. */
export const livezAnswer: HealthAnswer = { status: 200, contentType: text, body: "ok\n" }

export const statusAnswer = (status: StatusJson): HealthAnswer => ({
  status: 200,
  contentType: "application/json",
  body: `${JSON.stringify(status)}\n`
})

/** A node serves when it is healthy and is the Primary or knows one. */
export const readyzAnswer = (view: HealthView, nowMillis: number): HealthAnswer => {
  const serves = view.primary === "active" || (view.primary === "replica" && view.leaderMemberId !== 0n)
  if (view.health === "healthy" && serves) return { status: 200, contentType: text, body: "ok\n" }
  const lines = ["not ready", `health: ${view.health}`, `primary: ${view.primary}`]
  if (view.primary === "replica" && view.leaderMemberId === 0n) lines.push("no Primary is known")
  if (view.waiting !== undefined) lines.push(waitingLine(view.waiting, nowMillis))
  for (const trouble of view.troubles) lines.push(`trouble: ${trouble}`)
  return { status: 503, contentType: text, body: `${lines.join("\n")}\n` }
}

export const waitingLine = (waiting: Waiting, nowMillis: number): string => {
  const seconds = secondsLeft(waiting, nowMillis)
  return `waiting for: ${waiting.what}${seconds === undefined ? "" : ` (${seconds} s more)`}`
}

/** Undefined: nobody knows. */
export const secondsLeft = ({ until }: Waiting, nowMillis: number): number | undefined =>
  until === undefined ? undefined : Math.max(0, Math.ceil((until - nowMillis) / 1_000))
