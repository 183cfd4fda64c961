/** What `netsy recover NODE` says before it does anything. Pure. */
import type { Arbiter } from "../election/arbiter.ts"
import type { Lock } from "../election/lock.ts"
import type { Registration } from "../election/registry.ts"
import { showMillis } from "./table.ts"

export interface RecoverInput {
  readonly nodeId: string
  readonly registration: Registration | undefined
  /** Of all registered nodes. */
  readonly registered: ReadonlyArray<string>
  readonly arbiter: Arbiter | undefined
  readonly lock: Lock | undefined
  /** Wall clock. */
  readonly nowMillis: number
}

/** A node that renewed the lock so recently runs. */
const aliveMillis = 30_000

const isVoter = ({ nodeId, arbiter }: RecoverInput): boolean =>
  arbiter?.mode === "quorum" && arbiter.voters.some((voter) => voter.nodeId === nodeId)

/** Undefined: it can be declared gone; else why not. */
export const recoverProblem = (input: RecoverInput): string | undefined => {
  const { nodeId, registration, registered } = input
  if (registration !== undefined || isVoter(input)) return undefined
  const others = registered.length === 0 ? "no node is registered" : `registered are: ${registered.join(", ")}`
  return `there is no node ${JSON.stringify(nodeId)} in this bucket; ${others}`
}

/** Is the order to recover without waiting needed as well? */
export const needsOrder = (input: RecoverInput): boolean => isVoter(input)

export const recoverExplanation = (input: RecoverInput): ReadonlyArray<string> => {
  const { nodeId, registration, arbiter, lock, nowMillis } = input
  const out = [`Node ${nodeId} is declared gone for good: its machine or its disk will never come back.`, ""]
  if (registration === undefined) out.push(`- It has been deregistered already.`)
  else
    out.push(
      `- nodes/${nodeId}.json is deleted from the bucket (incarnation ${registration.incarnation || "unknown"}).`
    )
  if (arbiter === undefined)
    out.push("- There has been no Primary in this bucket yet; nothing else depends on the node.")
  else if (!isVoter(input)) {
    out.push(
      arbiter.mode === "store"
        ? "- Every acknowledged write is in the bucket (mode store): nothing is lost."
        : "- It is no voter: no write depends on it, nothing is lost."
    )
  } else {
    const { voters, required, term } = arbiter
    const names = voters.map((voter) => voter.nodeId).join(", ")
    out.push(
      `- It is one of the voters of term ${term} (${names}). An election needs ${voters.length - required} of ${voters.length} of them.`,
      "- Where enough of the others are up, they elect a Primary without this, and nothing is lost.",
      "- Where too few of them are left, the ones that are up go on without it. Writes that were acknowledged and are",
      "  neither in the bucket nor on one of them ARE LOST; the log says recovered_with_possible_loss and from where on.",
      "- If the node is NOT dead and only unreachable, clients that still reach it may see another history than the rest."
    )
    if (arbiter.primary.nodeId === nodeId) out.push("- It is the Primary. Make sure that its process has ended.")
  }
  const age = lock === undefined || lock.leaderId !== nodeId ? Infinity : nowMillis - lock.lastUpdatedMillis
  if (age < aliveMillis) {
    out.push(`- WARNING: it renewed the Elector's lock ${showMillis(Math.max(0, age))} ago. It does not look dead.`)
  }
  return out
}
