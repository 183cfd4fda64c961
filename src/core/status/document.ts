/**
 * What `/status` of the health port answers and `netsy status` shows: the cluster as one node sees it, with what every
 * node says about itself. Names in snake_case are what a reader of the JSON sees.
 */
import { type Arbiter, type NodeName, showNode } from "../election/arbiter.ts"
import { isoTime } from "../isoTime.ts"
import type { ClusterState, ElectorState, HealthState, NodeReport, PrimaryState } from "../wire/peer/messages.ts"

export interface NodeStatusJson {
  readonly node_id: string
  /** As whom it is registered; "": not known. */
  readonly incarnation: string
  readonly peer_address: string
  readonly client_address: string
  /** Why it could not be asked; absent: it has answered, and everything below is there. */
  readonly unreachable?: string
  readonly member_id?: string
  readonly version?: string
  readonly started_at?: string
  readonly health?: HealthState
  readonly elector?: ElectorState
  readonly primary?: PrimaryState
  readonly term?: number
  readonly fenced_term?: number
  readonly last_index?: number
  readonly last_revision?: number
  readonly commit_index?: number
  readonly committed_revision?: number
  readonly compacted_revision?: number
  readonly stored_index?: number
  readonly may_acknowledge?: boolean
  readonly lag_entries?: number
  readonly lag_ms?: number
  readonly buffered_bytes?: number
  readonly last_snapshot_index?: number
  readonly last_chunk_index?: number
  readonly waiting_for?: string
  /** How many more; -1: nobody knows. */
  readonly waiting_ms?: number
  readonly troubles?: ReadonlyArray<string>
}

export interface ArbiterJson {
  readonly term: number
  readonly primary: string
  readonly resigned: boolean
  readonly mode: "quorum" | "store"
  readonly voters: ReadonlyArray<string>
  readonly required: number
  readonly lease_ms: number
  readonly recovered?: { readonly term: number; readonly index: number }
}

export interface StatusJson {
  readonly cluster_id: string
  /** The node that answers. */
  readonly answered_by: string
  /** Its wall clock. */
  readonly at: string
  /** "": it knows of none. */
  readonly elector: string
  /** Absent: it knows of none. */
  readonly arbiter?: ArbiterJson
  readonly nodes: ReadonlyArray<NodeStatusJson>
}

const nameOf = (name: NodeName): string => showNode(name)

const arbiterJson = (arbiter: Arbiter): ArbiterJson => ({
  term: arbiter.term,
  primary: nameOf(arbiter.primary),
  resigned: arbiter.resigned,
  mode: arbiter.mode,
  voters: arbiter.voters.map(nameOf),
  required: arbiter.required,
  lease_ms: arbiter.leaseMillis,
  ...(arbiter.recovered === undefined ? {} : { recovered: arbiter.recovered })
})

const reportJson = (report: NodeReport): NodeStatusJson => ({
  node_id: report.name.nodeId,
  incarnation: report.name.incarnation,
  peer_address: report.peerAddress,
  client_address: report.clientAddress,
  member_id: String(report.memberId),
  version: report.version,
  started_at: isoTime(report.startedAtSeconds * 1_000),
  health: report.health,
  elector: report.elector,
  primary: report.primary,
  term: report.term,
  fenced_term: report.fenced,
  last_index: report.last.index,
  last_revision: report.lastRevision,
  commit_index: report.commitIndex,
  committed_revision: report.committedRevision,
  compacted_revision: report.floor,
  stored_index: report.storedIndex,
  may_acknowledge: report.mayAcknowledge,
  lag_entries: report.lagEntries,
  lag_ms: report.lagMillis,
  buffered_bytes: report.bufferedBytes,
  last_snapshot_index: report.lastSnapshotIndex,
  last_chunk_index: report.lastChunkIndex,
  waiting_for: report.waitingFor,
  waiting_ms: report.waitingMillis,
  troubles: report.troubles
})

/** What a node answered, or why it did not. */
export type Heard = NodeReport | { readonly unreachable: string }

export interface StatusInput {
  readonly clusterId: string
  readonly self: NodeReport
  readonly at: string
  readonly state: ClusterState
  /** By node id; who is missing was not asked. */
  readonly heard: ReadonlyMap<string, Heard>
}

export const statusJson = ({ clusterId, self, at, state, heard }: StatusInput): StatusJson => {
  const own = self.name.nodeId
  const others = state.nodes
    .filter(({ name }) => name.nodeId !== own)
    .map(({ name, peerAddress, clientAddress, memberId }): NodeStatusJson => {
      const answer = heard.get(name.nodeId) ?? { unreachable: "not asked" }
      if (!("unreachable" in answer)) return reportJson(answer)
      return {
        node_id: name.nodeId,
        incarnation: name.incarnation,
        peer_address: peerAddress,
        client_address: clientAddress,
        member_id: String(memberId),
        unreachable: answer.unreachable
      }
    })
  return {
    cluster_id: clusterId,
    answered_by: own,
    at,
    elector: state.elector,
    ...(state.arbiter === undefined ? {} : { arbiter: arbiterJson(state.arbiter) }),
    nodes: [reportJson(self), ...others].sort((a, b) => (a.node_id < b.node_id ? -1 : 1))
  }
}

/** What a node says of itself before it is registered. */
export interface Beginning {
  readonly clusterId: string
  readonly nodeId: string
  readonly peerAddress: string
  readonly clientAddress: string
  readonly version: string
  readonly at: string
  readonly health: HealthState
  readonly elector: ElectorState
  readonly primary: PrimaryState
  readonly waitingFor: string
  readonly waitingMillis: number
  readonly troubles: ReadonlyArray<string>
}

export const beginningJson = (node: Beginning): StatusJson => ({
  cluster_id: node.clusterId,
  answered_by: node.nodeId,
  at: node.at,
  elector: "",
  nodes: [
    {
      node_id: node.nodeId,
      incarnation: "",
      peer_address: node.peerAddress,
      client_address: node.clientAddress,
      version: node.version,
      health: node.health,
      elector: node.elector,
      primary: node.primary,
      waiting_for: node.waitingFor,
      waiting_ms: node.waitingMillis,
      troubles: node.troubles
    }
  ]
})

/** The answer of a node, or what is wrong with it. Fields are taken as they are: it is shown, nothing is decided by it. */
export const decodeStatus = (text: string): StatusJson | string => {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    return `not JSON: ${error instanceof Error ? error.message : String(error)}`
  }
  const o = json as Partial<StatusJson> | null
  if (typeof o !== "object" || o === null || typeof o.cluster_id !== "string" || !Array.isArray(o.nodes)) {
    return "not the status of a Netsy node"
  }
  return o as StatusJson
}
