/** Messages between nodes (proto/netsy/cluster.proto has their numbers). 64-bit ids are bigint, indexes numbers. */
import type { Arbiter, NodeName } from "../../election/arbiter.ts"
import type { Entry, Position } from "../../log/record.ts"

/** One node as the Elector knows it. */
export interface NodeInfo {
  readonly name: NodeName
  readonly memberId: bigint
  /** host:port */
  readonly peerAddress: string
  readonly clientAddress: string
}

/**
 * Who is who, as the Elector tells everybody. Newer is: the higher arbiter term, then its higher counter, then the higher
 * `serial` of the same Elector.
 */
export interface ClusterState {
  readonly elector: string
  readonly serial: number
  /** As it stands in the bucket, with its ETag; undefined before the first election. */
  readonly arbiter: Arbiter | undefined
  readonly etag: string
  readonly nodes: ReadonlyArray<NodeInfo>
}

/** Labels of netsy-1x.md 1.2. */
export type HealthState = "loading" | "healthy" | "degraded"
export type ElectorState = "follower" | "leader"
export type PrimaryState = "replica" | "starting" | "active" | "draining"

/** What a node says about itself: in heartbeats, to the Elector's questions, and to `netsy status`. */
export interface NodeReport {
  readonly name: NodeName
  readonly memberId: bigint
  readonly version: string
  readonly peerAddress: string
  readonly clientAddress: string
  /** Of the process, seconds since 1970. */
  readonly startedAtSeconds: number
  readonly health: HealthState
  readonly elector: ElectorState
  readonly primary: PrimaryState
  /** The newest arbiter that it knows; term 0 without one. */
  readonly term: number
  /** Highest term it has promised not to serve anything below. */
  readonly fenced: number
  /** Last entry of its log, on disk. */
  readonly last: Position
  readonly lastRevision: number
  readonly commitIndex: number
  readonly committedRevision: number
  readonly floor: number
  /** Primary: everything up to it is known to be in the bucket; others: as the Primary said. */
  readonly storedIndex: number
  /** Primary only: may it acknowledge at this moment; true on others. */
  readonly mayAcknowledge: boolean
  /** Primary only: somebody refused it with this higher term; 0: nobody. */
  readonly refusedTerm: number
  /** Entries and milliseconds behind what the Primary last said; 0 on the Primary. */
  readonly lagEntries: number
  readonly lagMillis: number
  /** Primary only. */
  readonly mode: "quorum" | "store"
  readonly voters: ReadonlyArray<NodeName>
  readonly required: number
  /** Committed entries that wait for the bucket, bytes. */
  readonly bufferedBytes: number
  readonly lastSnapshotIndex: number
  readonly lastChunkIndex: number
  /** What it waits for, "" for nothing, and how many milliseconds more; -1: open. */
  readonly waitingFor: string
  readonly waitingMillis: number
  readonly troubles: ReadonlyArray<string>
}

export interface HeartbeatRequest {
  readonly report: NodeReport
  /** Node id of a Primary that it has reason to think is gone (its stream broke); "": nobody. */
  readonly suspects: string
}

export interface LeaveRequest {
  readonly name: NodeName
  /** False: it stops and may come back under the same name. */
  readonly forGood: boolean
}

export interface HandOverRequest {
  readonly term: number
  /** Node id that should be the next Primary; "": anybody. */
  readonly to: string
}

/** "Serve nothing below this term any more, and say how far your log goes." The same term is answered again (design 6.4). */
export interface FenceRequest {
  readonly term: number
}

export interface FenceAnswer {
  /** False: it is fenced at a higher term already, see `report.fenced`. */
  readonly fenced: boolean
  /** Taken after the fence is durable; counts every append before it. */
  readonly report: NodeReport
}

// Follow: from a replica to the Primary.

export interface Hello {
  readonly kind: "hello"
  readonly name: NodeName
  readonly memberId: bigint
  /** Its highest fenced term. */
  readonly fenced: number
  readonly last: Position
  readonly commitIndex: number
}

/** Everything up to `match` is on its disk and is the log of this term's Primary; `commitIndex` is what it has applied. */
export interface Receipt {
  readonly kind: "receipt"
  readonly term: number
  readonly match: number
  readonly commitIndex: number
}

/** The entry before an Append does not fit: the newest one that may, by the replica's own log. */
export interface Mismatch {
  readonly kind: "mismatch"
  readonly term: number
  readonly at: Position
}

/** It is fenced at a higher term. */
export interface Refusal {
  readonly kind: "refusal"
  readonly term: number
}

/** The read round of this term is confirmed. */
export interface Confirm {
  readonly kind: "confirm"
  readonly term: number
  readonly round: number
}

/** It is about to stop: take it out of the voters if that can be done quickly. */
export interface Leaving {
  readonly kind: "leaving"
}

export type ReplicaMessage = Hello | Receipt | Mismatch | Refusal | Confirm | Leaving

// Follow: from the Primary to a replica.

/** Without entries: a heartbeat, which moves the commit index, or a question whether the position before it fits. */
export interface Append {
  readonly kind: "append"
  readonly term: number
  readonly prev: Position
  readonly commitIndex: number
  /** Everything up to it is known to be in the bucket. */
  readonly storedIndex: number
  readonly entries: ReadonlyArray<Entry>
}

export interface Round {
  readonly kind: "round"
  readonly term: number
  readonly round: number
}

/** What it would need next is not in the Primary's log any more: restore from the bucket and follow again. */
export interface TooFarBehind {
  readonly kind: "tooFarBehind"
  readonly term: number
  readonly firstIndex: number
}

/** It has been taken out of the voters, or does not need to be: it may stop. */
export interface MayLeave {
  readonly kind: "mayLeave"
}

export type PrimaryMessage = Append | Round | TooFarBehind | MayLeave

// To the Primary, outside the stream.

/** Answered after the lease or a round confirmed the term, both after the call was received (design 6.6). */
export interface ReadIndexAnswer {
  readonly term: number
  readonly index: number
}

/** A unary method of the client API, for a client of the node that forwards it. */
export interface ForwardRequest {
  /** Full gRPC path. */
  readonly method: string
  readonly request: Uint8Array
  /** What the transport found about the caller. */
  readonly identity: string | undefined
  readonly commonName: string | undefined
  readonly metadata: ReadonlyArray<readonly [string, string]>
}

export interface ForwardAnswer {
  /** Undefined: an error of the API, in the other fields. */
  readonly response: Uint8Array | undefined
  readonly code: number
  readonly message: string
  /** The answer holds at and after this index: whoever forwarded waits until it has applied it. */
  readonly index: number
}

export interface KeepAliveRequest {
  readonly leases: ReadonlyArray<bigint>
}

/** In the order of the request. */
export interface KeepAliveAnswer {
  readonly revision: number
  readonly term: number
  /** 0: the lease does not exist. */
  readonly ttls: ReadonlyArray<number>
}

export interface TokenRequest {
  readonly token: string
}

export interface TokenAnswer {
  /** "": not known here. */
  readonly user: string
  readonly authRevision: number
}
