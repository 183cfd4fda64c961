/** Random messages between nodes, whole and valid, by their kinds. */
import type { Arbiter, NodeName } from "../../src/core/election/arbiter.ts"
import { emptyBytes, type Entry, type LogRecord, type Position } from "../../src/core/log/record.ts"
import * as codecs from "../../src/core/wire/peer/codecs.ts"
import type * as m from "../../src/core/wire/peer/messages.ts"
import type { Random } from "../wire/random.ts"

const pick = <A>(random: Random, from: ReadonlyArray<A>): A => from[random.int(from.length)]!

const text = (random: Random): string =>
  pick(random, ["", "a", "node-1", "host:2381", "[::1]:2381", "grün", "😀", "x".repeat(70), "x".repeat(300)])

const number = (random: Random): number =>
  pick(random, [
    0,
    1,
    random.int(200),
    random.int(0x1_0000_0000),
    random.int(0x20_0000) * 0x1_0000_0000,
    Number.MAX_SAFE_INTEGER
  ])

const id = (random: Random): bigint =>
  BigInt.asUintN(64, (BigInt(random.int(0x1_0000_0000)) << 32n) | BigInt(random.int(0x1_0000_0000)))

const list = <A>(random: Random, most: number, one: () => A): ReadonlyArray<A> =>
  Array.from({ length: random.int(most + 1) }, one)

const bytes = (random: Random): Uint8Array => random.bytes(pick(random, [0, 1, random.int(40), random.int(3_000)]))

const name = (random: Random): NodeName => ({ nodeId: text(random), incarnation: text(random) })
const position = (random: Random): Position => ({ index: number(random), term: number(random) })

const arbiter = (random: Random): Arbiter => ({
  term: 1 + random.int(1_000_000),
  primary: name(random),
  mode: pick(random, ["quorum", "store"]),
  voters: list(random, 3, () => name(random)),
  required: random.int(5),
  leaseMillis: random.int(100_000),
  timeoutMillis: pick(random, [undefined, random.int(1_000_000)]),
  counter: number(random),
  resigned: random.chance(50),
  allStored: random.chance(50),
  recovered: pick(random, [undefined, position(random)])
})

const report = (random: Random): m.NodeReport => ({
  name: name(random),
  memberId: id(random),
  version: text(random),
  peerAddress: text(random),
  clientAddress: text(random),
  startedAtSeconds: number(random),
  health: pick(random, ["loading", "healthy", "degraded"]),
  elector: pick(random, ["follower", "leader"]),
  primary: pick(random, ["replica", "starting", "active", "draining"]),
  term: number(random),
  fenced: number(random),
  last: position(random),
  lastRevision: number(random),
  commitIndex: number(random),
  committedRevision: number(random),
  floor: number(random),
  storedIndex: number(random),
  mayAcknowledge: random.chance(50),
  refusedTerm: number(random),
  lagEntries: number(random),
  lagMillis: number(random),
  mode: pick(random, ["quorum", "store"]),
  voters: list(random, 3, () => name(random)),
  required: number(random),
  bufferedBytes: number(random),
  lastSnapshotIndex: number(random),
  lastChunkIndex: number(random),
  waitingFor: text(random),
  waitingMillis: pick(random, [-1, number(random)]),
  troubles: list(random, 3, () => text(random))
})

const time = (random: Random) =>
  pick(random, [undefined, { seconds: random.int(2_000_000_000), nanos: random.int(1_000_000_000) }])

const record = (random: Random, at: { index: number; term: number; revision: number; sub: number }): LogRecord => {
  const isOp = random.chance(20)
  return {
    ...at,
    key: isOp ? emptyBytes : random.bytes(1 + random.int(60)),
    created: random.chance(50),
    deleted: random.chance(20),
    createRevision: number(random),
    prevRevision: number(random),
    version: number(random),
    lease: pick(random, [0n, BigInt.asIntN(64, id(random))]),
    dek: random.int(3),
    value: isOp ? emptyBytes : bytes(random),
    createdAt: time(random),
    compactedAt: time(random),
    leaderId: text(random),
    replicatedAt: time(random),
    op: isOp ? random.bytes(1 + random.int(30)) : undefined
  }
}

export const entries = (random: Random, first: number): ReadonlyArray<Entry> => {
  let term = random.int(4)
  let revision = 1 + random.int(1_000)
  return Array.from({ length: random.int(6) }, (_, nth) => {
    if (random.chance(20)) term += 1 + random.int(3)
    revision += random.int(2)
    const index = first + nth
    const head = { index, term, revision }
    const records = Array.from({ length: 1 + random.int(3) }, (_one, sub) => record(random, { ...head, sub }))
    return { ...head, records }
  })
}

const replicaMessage = (random: Random): m.ReplicaMessage => {
  const term = number(random)
  return pick<() => m.ReplicaMessage>(random, [
    () => ({
      kind: "hello",
      name: name(random),
      memberId: id(random),
      fenced: term,
      last: position(random),
      commitIndex: number(random)
    }),
    () => ({ kind: "receipt", term, match: number(random), commitIndex: number(random) }),
    () => ({ kind: "mismatch", term, at: position(random) }),
    () => ({ kind: "refusal", term }),
    () => ({ kind: "confirm", term, round: number(random) }),
    () => ({ kind: "leaving" })
  ])()
}

const primaryMessage = (random: Random): m.PrimaryMessage => {
  const term = number(random)
  return pick<() => m.PrimaryMessage>(random, [
    () => {
      const index = random.int(1_000_000)
      return {
        kind: "append",
        term,
        prev: { index, term: number(random) },
        commitIndex: number(random),
        storedIndex: number(random),
        entries: entries(random, index + 1)
      }
    },
    () => ({ kind: "round", term, round: number(random) }),
    () => ({ kind: "tooFarBehind", term, firstIndex: number(random) }),
    () => ({ kind: "mayLeave" })
  ])()
}

export interface Kind {
  readonly name: string
  readonly random: (random: Random) => unknown
  readonly encode: (value: never) => Uint8Array
  readonly decode: (bytes: Uint8Array) => unknown
}

const kind = <A>(
  of: string,
  encode: (value: A) => Uint8Array,
  decode: (bytes: Uint8Array) => A,
  make: (random: Random) => A
): Kind => ({ name: of, random: make, encode, decode })

export const kinds: ReadonlyArray<Kind> = [
  kind("ClusterState", codecs.encodeClusterState, codecs.decodeClusterState, (random) => ({
    elector: text(random),
    serial: number(random),
    arbiter: pick(random, [undefined, arbiter(random)]),
    etag: text(random),
    nodes: list(random, 4, () => ({
      name: name(random),
      memberId: id(random),
      peerAddress: text(random),
      clientAddress: text(random)
    }))
  })),
  kind("HeartbeatRequest", codecs.encodeHeartbeatRequest, codecs.decodeHeartbeatRequest, (random) => ({
    report: report(random),
    suspects: text(random)
  })),
  kind("LeaveRequest", codecs.encodeLeaveRequest, codecs.decodeLeaveRequest, (random) => ({
    name: name(random),
    forGood: random.chance(50)
  })),
  kind("HandOverRequest", codecs.encodeHandOverRequest, codecs.decodeHandOverRequest, (random) => ({
    term: number(random),
    to: text(random)
  })),
  kind("NodeReport", codecs.encodeNodeReport, codecs.decodeNodeReport, report),
  kind("FenceRequest", codecs.encodeFenceRequest, codecs.decodeFenceRequest, (random) => ({ term: number(random) })),
  kind("FenceAnswer", codecs.encodeFenceAnswer, codecs.decodeFenceAnswer, (random) => ({
    fenced: random.chance(50),
    report: report(random)
  })),
  kind("ReplicaMessage", codecs.encodeReplicaMessage, codecs.decodeReplicaMessage, replicaMessage),
  kind("PrimaryMessage", codecs.encodePrimaryMessage, codecs.decodePrimaryMessage, primaryMessage),
  kind("ReadIndexAnswer", codecs.encodeReadIndexAnswer, codecs.decodeReadIndexAnswer, (random) => ({
    term: number(random),
    index: number(random)
  })),
  kind("ForwardRequest", codecs.encodeForwardRequest, codecs.decodeForwardRequest, (random) => ({
    method: text(random),
    request: bytes(random),
    identity: pick(random, [undefined, text(random)]),
    commonName: pick(random, [undefined, text(random)]),
    metadata: list(random, 4, () => [text(random), text(random)] as const)
  })),
  kind("ForwardAnswer", codecs.encodeForwardAnswer, codecs.decodeForwardAnswer, (random) => ({
    response: pick(random, [undefined, bytes(random)]),
    code: random.int(17),
    message: text(random),
    index: number(random)
  })),
  kind("KeepAliveRequest", codecs.encodeKeepAliveRequest, codecs.decodeKeepAliveRequest, (random) => ({
    leases: list(random, 20, () => BigInt.asIntN(64, id(random)))
  })),
  kind("KeepAliveAnswer", codecs.encodeKeepAliveAnswer, codecs.decodeKeepAliveAnswer, (random) => ({
    revision: number(random),
    term: number(random),
    ttls: list(random, 20, () => number(random))
  })),
  kind("TokenRequest", codecs.encodeTokenRequest, codecs.decodeTokenRequest, (random) => ({ token: text(random) })),
  kind("TokenAnswer", codecs.encodeTokenAnswer, codecs.decodeTokenAnswer, (random) => ({
    user: text(random),
    authRevision: number(random)
  }))
]
