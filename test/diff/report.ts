/** A difference in words: what was asked, both answers, what came before, and how to see it again. */
import type { Result } from "./run.ts"

const before = 12

const line = (value: unknown, most = 1500): string => {
  const text = JSON.stringify(value) ?? "nothing"
  return text.length > most ? `${text.slice(0, most)}…` : text
}

export const report = ({ difference, sent }: Result, repeat: string): string => {
  if (difference === undefined) return "no difference"
  const { operation } = difference
  const shown = (at: number): string => {
    const one = sent.operations[at]!
    const what = one.kind === "call" ? one.method : one.kind
    const as = "as" in one ? ` as ${one.as}` : ""
    const stream = "stream" in one ? ` on stream ${one.stream}` : ""
    return `  ${at} ${what}${as}${stream} ${line(sent.requests[at])}`
  }
  const from = Math.max(0, operation - before)
  return [
    `operation ${operation}: ${difference.what} differs`,
    ...Array.from({ length: operation - from + 1 }, (_, at) => shown(from + at)),
    `head ${sent.contexts[operation]?.head}, compacted ${sent.contexts[operation]?.compact}`,
    `etcd: ${line(difference.etcd)}`,
    `ours: ${line(difference.ours)}`,
    `again: ${repeat}`
  ].join("\n")
}
