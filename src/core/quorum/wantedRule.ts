/**
 * By which rule the Primary should commit from now on (design 6.2): when to enter and to leave mode quorum, who becomes
 * a voter and who stops being one. A pure decision; the change itself is an upload and an open CAS, and somebody else's.
 */
import { type NodeName, sameNode } from "../election/arbiter.ts"
import type { Follower } from "./receipts.ts"
import { type CommitRule, storeRule } from "./rule.ts"

/** How long a node has been caught up before it becomes a voter (design 6.2). */
export const caughtUpMillis = 10_000

export interface WantedRuleInput {
  /** `replication.quorum`: -1 majority, 0 off, N that many. */
  readonly quorum: number
  readonly rule: CommitRule
  /** Since when the current rule stands, or this reign. */
  readonly ruleSinceMillis: number
  readonly self: NodeName
  /** The nodes of the cluster's view. A view without this node is not loaded yet and removes nobody. */
  readonly registered: ReadonlyArray<NodeName>
  readonly followers: ReadonlyArray<Follower>
  readonly nowMillis: number
  /** Since when this Primary has listened without a pause (`Receipts`): silence counts from then at the earliest. */
  readonly listeningSinceMillis: number
  readonly heartbeatMillis: number
  readonly degradationCount: number
  readonly caughtUpMillis: number
  /** Undefined: never. */
  readonly deregistrationTimeoutMillis: number | undefined
  /** Nodes that asked to leave. */
  readonly leaving: ReadonlyArray<NodeName>
}

/** What to change to now; undefined: the rule stands. */
export const wantedRule = (input: WantedRuleInput): CommitRule | undefined => {
  const { rule } = input
  const inQuorum = rule.mode === "quorum"
  // After a recovery the winner commits nothing before it is in mode store.
  if (input.quorum === 0 || (inQuorum && rule.required === 0)) return inQuorum ? storeRule : undefined

  const joining = joiningVoters(input)
  const staying = inQuorum
    ? rule.voters.filter((voter) => !joining.some((node) => node.nodeId === voter.nodeId) && staysVoter(input, voter))
    : []
  const voters = [input.self, ...staying, ...joining].sort(byName)
  const required = input.quorum < 0 ? Math.floor(voters.length / 2) : input.quorum
  const possible = required >= 1 && required <= voters.length - 1
  if (!possible || answeringOf(input, voters) < required) return inQuorum ? storeRule : undefined
  return inQuorum && required === rule.required && sameVoters(voters, rule.voters)
    ? undefined
    : { mode: "quorum", voters, required }
}

/** So long without a receipt is degraded. */
const windowMillis = (input: WantedRuleInput): number => input.degradationCount * input.heartbeatMillis

const find = (followers: ReadonlyArray<Follower>, name: NodeName): Follower | undefined =>
  followers.find((follower) => sameNode(follower.name, name))

const includes = (names: ReadonlyArray<NodeName>, name: NodeName): boolean => names.some((n) => sameNode(n, name))

const sentReceiptWithin = (input: WantedRuleInput, name: NodeName, millis: number): boolean => {
  const follower = find(input.followers, name)
  return follower !== undefined && input.nowMillis - follower.lastReceiptMillis <= millis
}

/** How long nothing has been heard of a voter, counted from when this Primary listens. */
const silentMillis = (input: WantedRuleInput, name: NodeName): number => {
  const last = find(input.followers, name)?.lastReceiptMillis ?? Number.NEGATIVE_INFINITY
  return Math.max(0, input.nowMillis - Math.max(last, input.listeningSinceMillis))
}

const answeringOf = (input: WantedRuleInput, voters: ReadonlyArray<NodeName>): number =>
  voters.filter((voter) => !sameNode(voter, input.self) && silentMillis(input, voter) <= windowMillis(input)).length

const joiningVoters = (input: WantedRuleInput): ReadonlyArray<NodeName> => {
  const inQuorum = input.rule.mode === "quorum"
  return input.followers
    .filter(({ name, caughtUpSinceMillis }) => {
      if (name.nodeId === input.self.nodeId || (inQuorum && includes(input.rule.voters, name))) return false
      if (!includes(input.registered, name) || includes(input.leaving, name)) return false
      if (caughtUpSinceMillis === undefined || !sentReceiptWithin(input, name, windowMillis(input))) return false
      // A rule that has just been left for mode store is not entered again before its nodes have proved themselves anew.
      const since = inQuorum ? caughtUpSinceMillis : Math.max(caughtUpSinceMillis, input.ruleSinceMillis)
      return input.nowMillis - since >= input.caughtUpMillis
    })
    .map((follower) => follower.name)
}

/** Of the current voters, this Primary aside. Who answers is not removed because a view has lost sight of it. */
const staysVoter = (input: WantedRuleInput, voter: NodeName): boolean => {
  if (voter.nodeId === input.self.nodeId || includes(input.leaving, voter)) return false
  const timeout = input.deregistrationTimeoutMillis
  if (timeout !== undefined && silentMillis(input, voter) >= timeout) return false
  if (sentReceiptWithin(input, voter, windowMillis(input))) return true
  const viewLoaded = includes(input.registered, input.self)
  if (viewLoaded && !includes(input.registered, voter)) return false
  // Another incarnation follows: this one has lost its disk.
  return find(input.followers, voter) !== undefined || !input.followers.some((f) => f.name.nodeId === voter.nodeId)
}

const byName = (a: NodeName, b: NodeName): number => {
  const [x, y] = a.nodeId === b.nodeId ? [a.incarnation, b.incarnation] : [a.nodeId, b.nodeId]
  return x < y ? -1 : x > y ? 1 : 0
}

const sameVoters = (a: ReadonlyArray<NodeName>, b: ReadonlyArray<NodeName>): boolean =>
  a.length === b.length && a.every((name) => includes(b, name))
