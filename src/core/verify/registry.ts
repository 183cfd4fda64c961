/** The small objects of the bucket next to each other: arbiter, members, registrations, the Elector's lock. */
import { type Arbiter, arbiterKey, sameNode, showNode } from "../election/arbiter.ts"
import { type Lock, lockKey } from "../election/lock.ts"
import { type Members, membersKey, nodeKey, type Registration } from "../election/registry.ts"
import { type Finding, finding, type LeftOver } from "./findings.ts"

/** As decoded; a string says what is wrong, undefined: the object is not there. */
export type Read<A> = A | string | undefined

export interface Registry {
  readonly arbiter: Read<Arbiter>
  readonly members: Read<Members>
  readonly lock: Read<Lock>
  /** By object key. */
  readonly nodes: ReadonlyMap<string, Registration | string>
}

const subject = "bucket"

const arbiterProblem = (arbiter: Arbiter): string | undefined => {
  const { mode, primary, recovered, required, term, voters } = arbiter
  const names = new Set(voters.map(({ nodeId }) => nodeId))
  if (names.size !== voters.length) return "a voter is named twice"
  if (mode === "store") return voters.length === 0 ? undefined : "mode store, but there are voters"
  if (recovered !== undefined && recovered.term > term) return `recovered in term ${recovered.term}, after this one`
  if (required === 0)
    return recovered === undefined ? "mode quorum with `required` 0, but no recovery is noted" : undefined
  if (!voters.some((voter) => sameNode(voter, primary)))
    return `the Primary ${showNode(primary)} is not one of the voters`
  if (required > voters.length - 1) return `${required} other voters are required and there are ${voters.length - 1}`
  return undefined
}

const showArbiter = ({ allStored, mode, primary, required, resigned, term, voters }: Arbiter): string =>
  `term ${term}, ${primary.nodeId}${resigned ? (allStored ? " (resigned, everything stored)" : " (resigned)") : ""}, mode ${mode}` +
  (mode === "quorum" ? `, ${voters.length} voters, ${required} required` : "")

const memberProblem = ({ members }: Members, registry: Registry): string | undefined => {
  const holders = new Map<bigint, string>()
  for (const [nodeId, id] of members) {
    const other = holders.get(id)
    if (other !== undefined) return `member id ${id} is given to ${other} and to ${nodeId}`
    holders.set(id, nodeId)
  }
  for (const registration of registry.nodes.values())
    if (typeof registration !== "string" && !members.has(registration.nodeId))
      return `${registration.nodeId} is registered and has no member id`
  return undefined
}

const nodeProblem = (key: string, found: Registration | string): string | undefined =>
  typeof found === "string"
    ? `${key}: ${found}`
    : key === nodeKey(found.nodeId)
      ? undefined
      : `${key}: says that it is of ${found.nodeId}`

/** `hasTerms`: the bucket holds files with a term. An empty bucket and one of Netsy 1.x have no arbiter yet. */
export const registryFindings = (registry: Registry, hasTerms: boolean): ReadonlyArray<Finding> => {
  const { arbiter, lock, members, nodes } = registry
  const absent = (key: string): string | undefined => (hasTerms ? `${key}: missing` : undefined)
  const findings: Array<Finding> = []
  const arbiterCheck = "the arbiter can be read and is sound"
  if (arbiter === undefined)
    findings.push(finding(subject, arbiterCheck, absent(arbiterKey), "none: no term has begun"))
  else if (typeof arbiter === "string") findings.push(finding(subject, arbiterCheck, `${arbiterKey}: ${arbiter}`, ""))
  else {
    const problem = arbiterProblem(arbiter)
    findings.push(finding(subject, arbiterCheck, problem && `${arbiterKey}: ${problem}`, showArbiter(arbiter)))
  }
  const membersCheck = "members can be read and fit"
  if (members === undefined) {
    const wrong = typeof arbiter === "object" ? `${membersKey}: missing, though a term has begun` : absent(membersKey)
    findings.push(finding(subject, membersCheck, wrong, "none"))
  } else if (typeof members === "string") findings.push(finding(subject, membersCheck, `${membersKey}: ${members}`, ""))
  else {
    const problem = memberProblem(members, registry)
    const detail = `${members.members.size} member ids, cluster ${members.clusterId === "" ? "without a name" : members.clusterId}`
    findings.push(finding(subject, membersCheck, problem && `${membersKey}: ${problem}`, detail))
  }
  const wrong = [...nodes].map(([key, found]) => nodeProblem(key, found)).find((problem) => problem !== undefined)
  findings.push(finding(subject, "registrations can be read", wrong, `${nodes.size} nodes`))
  const holder =
    typeof lock !== "object"
      ? "nobody"
      : lock.lastUpdatedMillis === 0
        ? `${lock.leaderId}, who resigned`
        : lock.leaderId
  const lockProblem = typeof lock === "string" ? `${lockKey}: ${lock}` : undefined
  findings.push(finding(subject, "the Elector's lock can be read", lockProblem, `held by ${holder}`))
  return findings
}

/** One line for what is off the path. */
export const leftOverFinding = (leftOver: ReadonlyArray<LeftOver>): Finding => {
  const counts = new Map<string, { count: number; first: string }>()
  for (const { key, reason } of leftOver) {
    const group = counts.get(reason)
    if (group === undefined) counts.set(reason, { count: 1, first: key })
    else group.count++
  }
  const parts = [...counts].map(
    ([reason, { count, first }]) => `${count} ${reason} (${first}${count > 1 ? ", …" : ""})`
  )
  return finding(subject, "left over, ignored by readers", undefined, parts.length === 0 ? "nothing" : parts.join("; "))
}
