/** Which of two cluster states is the newer one, and what follows from the newer one. Pure. */
import { sameNode } from "../election/arbiter.ts"
import type { ClusterState, NodeInfo } from "../wire/peer/messages.ts"

/** Before anybody has said anything. */
export const unknownState: ClusterState = { elector: "", serial: 0, arbiter: undefined, etag: "", nodes: [] }

const termOf = (state: ClusterState): number => state.arbiter?.term ?? 0
const counterOf = (state: ClusterState): number => state.arbiter?.counter ?? 0

/**
 * Newer is the higher term, then the higher counter of the arbiter, then the higher serial of the same Elector. Between two
 * Electors with the same arbiter the one that spoke last is believed: two at once are harmless (design 6.1), since each of
 * their decisions is a CAS, and whoever asks the wrong one is told so.
 */
export const isNewer = (offered: ClusterState, current: ClusterState): boolean => {
  if (termOf(offered) !== termOf(current)) return termOf(offered) > termOf(current)
  if (counterOf(offered) !== counterOf(current)) return counterOf(offered) > counterOf(current)
  return offered.elector !== current.elector || offered.serial > current.serial
}

/** Who the arbiter names, as long as it has not resigned and still runs under that name. */
export const primaryOf = (state: ClusterState): NodeInfo | undefined => {
  const { arbiter } = state
  return arbiter === undefined || arbiter.resigned
    ? undefined
    : state.nodes.find((node) => sameNode(node.name, arbiter.primary))
}

/** Only an Elector that belongs to the cluster it describes is believed. Undefined: it is; else what is wrong. */
export const pushProblem = (state: ClusterState, from: string): string | undefined => {
  if (state.elector !== from)
    return `the state of Elector ${JSON.stringify(state.elector)} was sent by ${JSON.stringify(from)}`
  return state.nodes.some(({ name }) => name.nodeId === from)
    ? undefined
    : `${JSON.stringify(from)} is not a registered node`
}
