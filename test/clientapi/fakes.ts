/** A store that answers at once, a watch hub under the test's control, and what else `ClientApi` asks for. */
import { Effect, Layer } from "effect"
import { errors } from "../../src/core/wire/errors.ts"
import type { NodeInfo } from "../../src/core/wire/peer/messages.ts"
import type { KeyValue, RequestOp, ResponseOp, WatchRequest } from "../../src/core/wire/messages.ts"
import * as AccessOpen from "../support/AccessOpen.ts"
import * as requests from "../support/requests.ts"
import * as ForwardingLocal from "../support/ForwardingLocal.ts"
import * as LogMemory from "../../src/layers/LogMemory.ts"
import * as MetricsPrometheus from "../../src/layers/MetricsPrometheus.ts"
import * as NodeStatusMemory from "../../src/layers/NodeStatusMemory.ts"
import * as SettingsValue from "../../src/layers/SettingsValue.ts"
import * as SupervisorFatal from "../../src/layers/SupervisorFatal.ts"
import { Access } from "../../src/services/Access.ts"
import { Alarms } from "../../src/services/Alarms.ts"
import { Auth } from "../../src/services/Auth.ts"
import { ClusterView } from "../../src/services/ClusterView.ts"
import { EtcdExport, ExportFailed } from "../../src/services/EtcdExport.ts"
import { Kv } from "../../src/services/Kv.ts"
import { Leases } from "../../src/services/Leases.ts"
import { LocalStore } from "../../src/services/LocalStore.ts"
import { Membership } from "../../src/services/Membership.ts"
import { NodeStatus } from "../../src/services/NodeStatus.ts"
import { PeerNetwork } from "../../src/services/PeerNetwork.ts"
import { Quota } from "../../src/services/Quota.ts"
import { Replicator } from "../../src/services/Replicator.ts"
import type { SettingsShape } from "../../src/services/Settings.ts"
import { WatchHub, type WatchSink } from "../../src/services/WatchHub.ts"
import { anyPorts, embeddedSettings } from "../config/embedded.ts"

const embedded = embeddedSettings()

export const settings: SettingsShape = {
  ...embedded,
  clusterId: "dev-cluster",
  nodeId: "dev-node-1",
  limits: { ...embedded.limits, quotaBytes: 2_147_483_648 },
  bind: anyPorts
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

/** What the test sees and says of the store. */
export interface Watched {
  /** How often a read barrier was asked for. */
  barriers: number
  /** Puts that wait to be called; without the array they are answered at once. */
  readonly held?: Array<() => void>
}

const kv = (watched: Watched = { barriers: 0 }): Layer.Layer<Kv, never, NodeStatus> =>
  Layer.effect(
    Kv,
    Effect.gen(function* () {
      const status = yield* NodeStatus
      const store = new Map<string, KeyValue>()
      let revision = 1
      const matching = (key: Uint8Array, end: Uint8Array): ReadonlyArray<KeyValue> =>
        [...store]
          .filter(([name]) => {
            if (end.length === 0) return name === hex(key)
            return name >= hex(key) && (hex(end) === "00" || name < hex(end))
          })
          .toSorted(([a], [b]) => (a < b ? -1 : 1))
          .map(([, found]) => found)

      const evaluate = (op: RequestOp): ResponseOp => {
        const header = status.header(revision)
        switch (op.kind) {
          case "range": {
            const found = matching(op.range.key, op.range.rangeEnd)
            const kvs = op.range.limit > 0 ? found.slice(0, op.range.limit) : found
            return { kind: "range", range: { header, kvs, more: kvs.length < found.length, count: found.length } }
          }
          case "put": {
            const previous = store.get(hex(op.put.key))
            store.set(hex(op.put.key), {
              key: op.put.key,
              createRevision: previous?.createRevision ?? revision,
              modRevision: revision,
              version: (previous?.version ?? 0) + 1,
              value: op.put.value,
              lease: op.put.lease
            })
            return { kind: "put", put: { header, prevKv: op.put.prevKv ? previous : undefined } }
          }
          case "deleteRange": {
            const found = matching(op.deleteRange.key, op.deleteRange.rangeEnd)
            for (const one of found) store.delete(hex(one.key))
            return { kind: "deleteRange", deleteRange: { header, deleted: found.length, prevKvs: [] } }
          }
          default:
            throw new Error("the store of this test has no nested transactions")
        }
      }
      return Kv.of({
        range: (request, reply) => {
          if (request.key.length === 0) return reply.fail(errors.emptyKey)
          if (request.revision > revision) return reply.fail(errors.futureRevision)
          const answer = evaluate({ kind: "range", range: request })
          if (answer.kind === "range") reply.succeed(answer.range)
        },
        openRange: (_request, reply) => reply.fail(errors.tooManyRequests),
        put: (request, reply) => {
          revision++
          const answer = evaluate({ kind: "put", put: request })
          const done = (): void => {
            if (answer.kind === "put") reply.succeed(answer.put)
          }
          // Later, as a write that is durable.
          if (watched.held === undefined) setImmediate(done)
          else watched.held.push(done)
        },
        deleteRange: (request, reply) => {
          revision++
          const answer = evaluate({ kind: "deleteRange", deleteRange: request })
          if (answer.kind === "deleteRange") reply.succeed(answer.deleteRange)
        },
        txn: (request, reply) => {
          const succeeded = request.compare.every((compare) => {
            const found = store.get(hex(compare.key))
            const wanted = compare.targetUnion?.kind === "create" ? compare.targetUnion.number : 0
            return (found?.createRevision ?? 0) === wanted
          })
          revision++
          const responses = (succeeded ? request.success : request.failure).map(evaluate)
          reply.succeed({ header: status.header(revision), succeeded, responses })
        },
        compact: (request, reply) =>
          request.revision > revision
            ? reply.fail(errors.futureRevision)
            : reply.succeed({ header: status.header(revision) }),
        barrier: (reply) => {
          watched.barriers++
          setImmediate(() => reply.succeed({ revision }))
        },
        revision: () => revision,
        headRevision: () => revision,
        floor: () => 0,
        head: () => 12,
        commitIndex: () => 11
      })
    })
  )

/** What the hub was asked (it takes every request but an empty one), and the sinks by which the test answers. */
export interface HubProbe {
  readonly requests: Array<WatchRequest>
  readonly sinks: Array<WatchSink>
  drained: number
  closed: number
}

export const hubProbe = (): HubProbe => ({ requests: [], sinks: [], drained: 0, closed: 0 })

const hub = (probe: HubProbe): Layer.Layer<WatchHub> =>
  Layer.succeed(
    WatchHub,
    WatchHub.of({
      open: (sink) => {
        probe.sinks.push(sink)
        return {
          request: (request) => {
            probe.requests.push(request)
            if (request.kind === "none") return false
            if (request.kind !== "create") return true
            sink.send({
              header: { clusterId: 1n, memberId: 2n, revision: 7, raftTerm: 1 },
              watchId: request.create.watchId,
              created: true,
              canceled: false,
              compactRevision: 0,
              cancelReason: "",
              fragment: false,
              events: []
            })
            return true
          },
          drained: () => {
            probe.drained++
          },
          close: () => {
            probe.closed++
          }
        }
      },
      begin: () => {},
      jumped: () => {},
      publish: () => {},
      compacted: () => {},
      stats: () => ({ streams: 0, watches: 0, slow: 0, minRevision: 1, eventsSent: 0 })
    })
  )

const membership = Layer.succeed(
  Membership,
  Membership.of({
    self: () => ({ nodeId: "dev-node-1", incarnation: "a" }),
    readAll: Effect.succeed([]),
    read: () => Effect.succeed(undefined),
    allocate: () => Effect.succeed(5n),
    deregister: () => Effect.void,
    registerAgain: Effect.void,
    termAtStart: () => 0,
    lookUp: () => Effect.succeed(undefined),
    members: () => [
      {
        id: 5n,
        name: "dev-node-1",
        peerUrls: ["https://127.0.0.1:2381"],
        clientUrls: ["https://127.0.0.1:2378"],
        isLearner: false
      }
    ]
  })
)

/** The API asks for the size and nothing else. */
const local = Layer.succeed(LocalStore, {
  size: Effect.succeed({ total: 40960, inUse: 20480 })
} as unknown as LocalStore["Service"])

/** No alarm is ever active, and there is room for everything. */
const alarms = Layer.succeed(
  Alarms,
  Alarms.of({
    active: () => [],
    list: (_type, reply) => reply.succeed([]),
    activate: (alarm, reply) => reply.succeed([alarm]),
    deactivate: (_alarm, reply) => reply.succeed([])
  })
)

/** No file can be made. */
const noExport: EtcdExport["Service"] = {
  file: Effect.fail(new ExportFailed({ folder: "data", reason: "no space left on device" })),
  hash: Effect.succeed({ hash: 7, revision: 42 }),
  hashKv: (revision) =>
    revision > 42
      ? Effect.fail(errors.futureRevision)
      : Effect.succeed({ hash: 8, compactRevision: -1, hashRevision: revision === 0 ? 42 : revision })
}

/** Of users and roles nothing is known here. */
const auth = Layer.succeed(Auth, {} as unknown as Auth["Service"])
/** Nor of leases. */
const leases = Layer.succeed(Leases, {} as unknown as Leases["Service"])
const quota = Layer.succeed(Quota, Quota.of({ admit: () => undefined }))

const own: NodeInfo = {
  name: { nodeId: "dev-node-1", incarnation: "a" },
  memberId: 5n,
  peerAddress: "127.0.0.1:2381",
  clientAddress: "127.0.0.1:2378"
}

/** A cluster of this node alone. */
const view = Layer.succeed(
  ClusterView,
  ClusterView.of({
    current: () => ({ elector: "dev-node-1", serial: 1, arbiter: undefined, etag: "", nodes: [own] }),
    offer: () => false,
    node: (nodeId) => (nodeId === own.name.nodeId ? own : undefined),
    primary: () => own,
    isSelf: ({ nodeId }) => nodeId === own.name.nodeId,
    settle: () => {},
    onChange: () => () => {},
    suspect: () => {},
    onSuspect: () => () => {}
  })
)

/** Nobody to hand anything over to, and nobody to call. */
const replicator = Layer.succeed(Replicator, {
  handOver: (_nodeId, waiter) => waiter.failed(errors.badLeaderTransferee)
} as Partial<Replicator["Service"]> as Replicator["Service"])
const network = Layer.succeed(PeerNetwork, {} as unknown as PeerNetwork["Service"])

/** A node that leads itself, in term 3. */
const status = Layer.effectDiscard(
  Effect.gen(function* () {
    const node = yield* NodeStatus
    node.setMember(5n)
    node.setTerm(3, 5n)
    node.setLoaded()
  })
).pipe(Layer.provideMerge(NodeStatusMemory.layer))

/** Everything below `ClientApi`. */
export const ground = (
  options: {
    readonly settings?: SettingsShape
    readonly probe?: HubProbe
    readonly watched?: Watched
    readonly exporter?: EtcdExport["Service"]
    /** Default: everybody may do everything. */
    readonly access?: Access["Service"]
    readonly lines?: Array<LogMemory.MemoryLine>
  } = {}
) =>
  kv(options.watched).pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        status,
        hub(options.probe ?? hubProbe()),
        membership,
        local,
        alarms,
        quota,
        Layer.succeed(EtcdExport, options.exporter ?? noExport),
        auth,
        leases,
        ForwardingLocal.layer.pipe(Layer.provide(leases)),
        view,
        replicator,
        network,
        options.access === undefined ? AccessOpen.layer : Layer.succeed(Access, options.access)
      )
    ),
    Layer.provideMerge(
      Layer.mergeAll(
        SettingsValue.layer(options.settings ?? settings),
        MetricsPrometheus.layer,
        LogMemory.layer(options.lines ?? []),
        SupervisorFatal.layer
      )
    )
  )

export const key = (text: string): Uint8Array => new TextEncoder().encode(text)

export const rangeOf = (text: string) => requests.rangeOf(key(text))

export const putOf = (name: string, value: Uint8Array) => ({
  key: key(name),
  value,
  lease: 0n,
  prevKv: false,
  ignoreValue: false,
  ignoreLease: false
})
