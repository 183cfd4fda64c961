/**
 * Nodes that forward to each other in virtual time. Who is the Primary, and what a node has applied, is what the test
 * says; the network in between is in memory.
 */
import { Effect, Exit, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { noAuth, type AuthState } from "../../src/core/auth/state.ts"
import { type EtcdError, errors, isEtcdError } from "../../src/core/wire/errors.ts"
import type { ClusterState, NodeInfo } from "../../src/core/wire/peer/messages.ts"
import type { LeaseKeepAliveResponse } from "../../src/core/wire/codec/lease.ts"
import * as ForwardingPeers from "../../src/layers/ForwardingPeers.ts"
import * as LogMemory from "../../src/layers/LogMemory.ts"
import * as MetricsPrometheus from "../../src/layers/MetricsPrometheus.ts"
import * as NodeStatusMemory from "../../src/layers/NodeStatusMemory.ts"
import * as PeerNetworkMemory from "../../src/layers/PeerNetworkMemory.ts"
import * as SettingsValue from "../../src/layers/SettingsValue.ts"
import * as SupervisorFatal from "../../src/layers/SupervisorFatal.ts"
import type { CallContext } from "../../src/services/ClientApi.ts"
import { ClusterView } from "../../src/services/ClusterView.ts"
import { Forwarding, type ForwardRules } from "../../src/services/Forwarding.ts"
import { type KeepAliveSink, type KeepAliveStream, Leases } from "../../src/services/Leases.ts"
import { NodeStatus, type PrimaryState } from "../../src/services/NodeStatus.ts"
import { ReplicatedState } from "../../src/services/ReplicatedState.ts"
import { Replicator, type Waiter } from "../../src/services/Replicator.ts"
import { settings } from "../clientapi/fakes.ts"

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
export const utf8 = (value: string): Uint8Array => new TextEncoder().encode(value)

const plainRules: ForwardRules = {
  repeatable: false,
  heldLong: false,
  answersLate: false,
  withoutPrimary: errors.requestTimedOut
}

export const infoOf = (i: number): NodeInfo => ({
  name: { nodeId: `n${i}`, incarnation: "a" },
  memberId: BigInt(i),
  peerAddress: `n${i}:2381`,
  clientAddress: `n${i}:2378`
})

/** A call as a node was asked to execute it; `answer` is for the test. */
export interface Execution {
  readonly method: string
  readonly request: string
  readonly context: CallContext
  readonly succeed: (response: Uint8Array) => void
  readonly fail: (error: EtcdError) => void
}

/** Keep-alives that a node's own `Leases` was asked for. */
export interface OwnKeepAlives {
  readonly ids: Array<bigint>
  readonly sink: KeepAliveSink
  ended: boolean
  closed: boolean
}

export class FakeNode {
  readonly info: NodeInfo
  role: PrimaryState = "replica"
  primary: NodeInfo | undefined
  commitIndex = 0
  auth: AuthState = noAuth
  readonly executed: Array<Execution> = []
  /** Answers an execution at once; undefined: the test does. */
  onExecute: ((execution: Execution) => void) | undefined
  readonly keepAlives: Array<OwnKeepAlives> = []
  readonly leaseTtls = new Map<bigint, number>()
  /** False: keep-alives are answered by the test. */
  answersKeepAlives = true
  readonly handedOver: Array<string> = []
  readonly appliedWaiters: Array<{ readonly index: number; readonly waiter: Waiter }> = []
  readonly roleListeners: Array<(role: PrimaryState) => void> = []
  readonly viewListeners = new Set<(state: ClusterState) => void>()
  readonly nodes: ReadonlyArray<NodeInfo>

  constructor(info: NodeInfo, nodes: ReadonlyArray<NodeInfo>) {
    this.info = info
    this.nodes = nodes
  }

  become(role: PrimaryState, primary: NodeInfo | undefined): void {
    this.role = role
    this.primary = primary
    for (const listener of this.roleListeners) listener(role)
    for (const listener of this.viewListeners) listener(this.state())
  }

  state(): ClusterState {
    return { elector: "n1", serial: 1, arbiter: undefined, etag: "", nodes: this.nodes }
  }

  apply(index: number): void {
    this.commitIndex = index
    for (const { index: wanted, waiter } of this.appliedWaiters.splice(0)) {
      if (wanted <= index) waiter.done()
      else this.appliedWaiters.push({ index: wanted, waiter })
    }
  }

  openKeepAlives(sink: KeepAliveSink, header: (revision: number) => LeaseKeepAliveResponse["header"]): KeepAliveStream {
    const own: OwnKeepAlives = { ids: [], sink, ended: false, closed: false }
    this.keepAlives.push(own)
    return {
      renew: (id) => {
        own.ids.push(id)
        return true
      },
      drained: () => {},
      end: () => {
        own.ended = true
        if (!this.answersKeepAlives) return
        for (const id of own.ids) sink.send({ header: header(7), id, ttl: this.leaseTtls.get(id) ?? 0 })
        sink.ended(undefined)
      },
      close: () => {
        own.closed = true
      }
    }
  }
}

const replicatorOf = (node: FakeNode): Replicator["Service"] =>
  Replicator.of({
    start: () => Effect.void,
    role: () => node.role,
    onRole: (listener) => node.roleListeners.push(listener),
    primary: () => node.primary,
    next: () => errors.noLeader,
    append: (_entry, waiter) => waiter.failed(errors.noLeader),
    whenReadable: (_index, waiter) => waiter.done(),
    whenApplied: (index, waiter) => {
      if (index <= node.commitIndex) waiter.done()
      else node.appliedWaiters.push({ index, waiter })
    },
    headIndex: () => node.commitIndex,
    commitIndex: () => node.commitIndex,
    storedIndex: () => 0,
    handOver: (nodeId, waiter) => {
      node.handedOver.push(nodeId)
      waiter.done()
    }
  })

const viewOf = (node: FakeNode): ClusterView["Service"] =>
  ClusterView.of({
    current: () => node.state(),
    offer: () => false,
    node: (nodeId) => node.nodes.find(({ name }) => name.nodeId === nodeId),
    primary: () => node.primary,
    isSelf: ({ nodeId }) => nodeId === node.info.name.nodeId,
    settle: () => {},
    onChange: (listener) => {
      node.viewListeners.add(listener)
      return () => node.viewListeners.delete(listener)
    },
    suspect: () => {},
    onSuspect: () => () => {}
  })

/** Everything below `Forwarding` and `AuthTokens` of one node. */
export const groundOf = (hub: PeerNetworkMemory.MemoryPeers, node: FakeNode) => {
  const own = {
    ...settings,
    nodeId: node.info.name.nodeId,
    advertise: { ...settings.advertise, peer: node.info.peerAddress }
  }
  return Layer.mergeAll(
    PeerNetworkMemory.layer(hub),
    Layer.succeed(Replicator, replicatorOf(node)),
    Layer.succeed(ClusterView, viewOf(node)),
    Layer.succeed(ReplicatedState, {
      auth: () => node.auth
    } as Partial<ReplicatedState["Service"]> as ReplicatedState["Service"]),
    Layer.effect(
      Leases,
      NodeStatus.use((status) =>
        Effect.succeed({
          keepAlives: (sink: KeepAliveSink) => node.openKeepAlives(sink, status.header)
        } as Partial<Leases["Service"]> as Leases["Service"])
      )
    )
  ).pipe(
    Layer.provideMerge(NodeStatusMemory.layer),
    Layer.provideMerge(Layer.mergeAll(MetricsPrometheus.layer, LogMemory.layer([]), SupervisorFatal.layer)),
    Layer.provideMerge(SettingsValue.layer(own))
  )
}

export interface Caller {
  answer: Uint8Array | EtcdError | undefined
  answers: number
  ranHere: number
  /** The caller goes. */
  leave: () => void
}

export interface Node extends FakeNode {
  readonly forwarding: Forwarding["Service"]
  readonly stop: Effect.Effect<void>
}

const letRun = Effect.gen(function* () {
  for (let i = 0; i < 20; i++) yield* Effect.yieldNow
})

/** Virtual time passes, in small steps. */
export const pass = (millis: number) =>
  Effect.gen(function* () {
    yield* letRun
    for (let left = millis; left > 0; left -= 10) {
      yield* TestClock.adjust(Math.min(10, left))
      yield* letRun
    }
  })

export const makeNodes = (count: number, options: ForwardingPeers.ForwardingPeersOptions = {}) =>
  Effect.gen(function* () {
    const hub = new PeerNetworkMemory.MemoryPeers()
    const infos = Array.from({ length: count }, (_, i) => infoOf(i + 1))
    const nodes: Array<Node> = []
    for (const info of infos) {
      const fake = new FakeNode(info, infos)
      const scope = yield* Scope.make()
      const built = yield* Layer.buildWithScope(
        Layer.effectDiscard(
          NodeStatus.use((status) =>
            Effect.sync(() => {
              status.setMember(info.memberId)
              status.setTerm(3, 1n)
            })
          )
        ).pipe(
          Layer.provideMerge(ForwardingPeers.layer(options)),
          Layer.provideMerge(Layer.fresh(groundOf(hub, fake)))
        ),
        scope
      )
      const forwarding = yield* Effect.provide(Forwarding, built)
      forwarding.serve((method, request, context, { fail, succeed }) => {
        const execution = { method, request: text(request), context, succeed, fail }
        fake.executed.push(execution)
        fake.onExecute?.(execution)
      })
      nodes.push(Object.assign(fake, { forwarding, stop: Scope.close(scope, Exit.void) }))
    }
    yield* Effect.addFinalizer(() => Effect.forEach(nodes, ({ stop }) => stop))
    /** From now on this one is the Active Primary; undefined: nobody is. */
    const reign = (primary: Node | undefined): void => {
      for (const node of nodes) {
        if (node === primary) node.become("active", undefined)
        else node.become("replica", primary?.info)
      }
    }
    return { hub, nodes, reign }
  })

/** A client of the node. `here` is what happens when it is run on the node itself. */
export const call = (
  node: Node,
  request: string,
  rules: Partial<ForwardRules> = {},
  here: (succeed: (bytes: Uint8Array) => void, fail: (error: EtcdError) => void) => void = (succeed) =>
    succeed(utf8(`here ${request}`)),
  context: Partial<CallContext> = {}
): Caller => {
  const caller: Caller = { answer: undefined, answers: 0, ranHere: 0, leave: () => {} }
  const tell = (answer: Uint8Array | EtcdError): void => {
    caller.answer = answer
    caller.answers++
  }
  node.forwarding.run({
    rules: { ...plainRules, ...rules },
    method: "/test/Method",
    request: utf8(request),
    context: {
      identity: undefined,
      commonName: undefined,
      metadata: () => undefined,
      onClosed: (listener) => {
        caller.leave = listener
      },
      ...context
    },
    check: () => (request === "wrong" ? errors.emptyKey : undefined),
    reply: { succeed: tell, fail: tell },
    here: (fail) => {
      caller.ranHere++
      here(tell, fail)
    }
  })
  return caller
}

export const failure = (caller: Caller): EtcdError | undefined =>
  isEtcdError(caller.answer) ? caller.answer : undefined
