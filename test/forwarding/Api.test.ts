/** The whole API on a Primary and on a replica: what is run where. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { decodeLeaveRequest } from "../../src/core/wire/peer/cluster.ts"
import { MemberRemoveRequest, MemberRemoveResponse } from "../../src/core/wire/codec/cluster.ts"
import {
  decodePutResponse,
  decodeRangeResponse,
  encodePutRequest,
  encodeRangeRequest
} from "../../src/core/wire/codec/kv.ts"
import { LeaseKeepAliveRequest, LeaseKeepAliveResponse } from "../../src/core/wire/codec/lease.ts"
import { LockRequest, LockResponse } from "../../src/core/wire/codec/lock.ts"
import { MoveLeaderRequest } from "../../src/core/wire/codec/maintenance.ts"
import { decodeTxnResponse, encodeTxnRequest } from "../../src/core/wire/codec/txn.ts"
import { Code, type EtcdError, errors, isEtcdError } from "../../src/core/wire/errors.ts"
import type { TxnRequest } from "../../src/core/wire/messages.ts"
import { peerMethods } from "../../src/core/wire/peer/methods.ts"
import * as ClientApiEtcd from "../../src/layers/ClientApiEtcd.ts"
import * as ForwardingPeers from "../../src/layers/ForwardingPeers.ts"
import * as PeerNetworkMemory from "../../src/layers/PeerNetworkMemory.ts"
import { ClientApi } from "../../src/services/ClientApi.ts"
import { NodeStatus } from "../../src/services/NodeStatus.ts"
import { PeerNetwork } from "../../src/services/PeerNetwork.ts"
import { ground, key, putOf, rangeOf } from "../clientapi/fakes.ts"
import { FakeNode, groundOf, infoOf, pass } from "./world.ts"

interface Node extends FakeNode {
  readonly api: ClientApi["Service"]
  readonly network: PeerNetwork["Service"]
}

type Answer = Uint8Array | EtcdError

const makeApis = Effect.gen(function* () {
  const hub = new PeerNetworkMemory.MemoryPeers()
  // The node of the fakes is member 5 and does not know it.
  const infos = [infoOf(1), infoOf(2), { ...infoOf(5), name: { nodeId: "dev-node-1", incarnation: "a" } }]
  const scope = yield* Scope.make()
  yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
  const nodes: Array<Node> = []
  for (const info of infos.slice(0, 2)) {
    const fake = new FakeNode(info, infos)
    const below = Layer.effectDiscard(
      NodeStatus.use((status) =>
        Effect.sync(() => {
          status.setMember(info.memberId)
          status.setTerm(3, 1n)
        })
      )
    ).pipe(Layer.provideMerge(Layer.fresh(groundOf(hub, fake))))
    const built = yield* Layer.buildWithScope(
      ClientApiEtcd.layer.pipe(
        Layer.provideMerge(ForwardingPeers.layer()),
        Layer.provideMerge(below),
        Layer.provide(Layer.fresh(ground()))
      ),
      scope
    )
    nodes.push(Object.assign(fake, { api: Context.get(built, ClientApi), network: Context.get(built, PeerNetwork) }))
  }
  const [primary, replica] = nodes as [Node, Node]
  primary.become("active", undefined)
  replica.become("replica", primary.info)
  const sent: Array<string> = []
  hub.decide = (_from, _to, kind, method) => {
    if (kind === "request") sent.push(method)
    return "deliver"
  }
  return { hub, primary, replica, sent }
})

const realStep = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))

const unary = (node: Node, method: string, request: Uint8Array) =>
  Effect.gen(function* () {
    let answer: Answer | undefined
    const tell = (found: Answer): void => {
      answer = found
    }
    const context = { identity: undefined, commonName: undefined, metadata: () => undefined }
    node.api.unary(method, request, context, { succeed: tell, fail: tell })
    for (let i = 0; i < 3_000 && answer === undefined; i++) {
      yield* pass(10)
      yield* realStep
    }
    assert.isDefined(answer)
    return answer!
  })

const success = (answer: Answer): Uint8Array => {
  assert.isFalse(isEtcdError(answer), isEtcdError(answer) ? answer.message : "")
  return answer as Uint8Array
}

const put = (node: Node, name: string) =>
  Effect.map(unary(node, "/etcdserverpb.KV/Put", encodePutRequest(putOf(name, key("v")))), (answer) =>
    decodePutResponse(success(answer))
  )

const count = (node: Node, name: string) =>
  Effect.map(
    unary(node, "/etcdserverpb.KV/Range", encodeRangeRequest(rangeOf(name))),
    (answer) => decodeRangeResponse(success(answer)).count
  )

const txnOf = (success: TxnRequest["success"]): Uint8Array => encodeTxnRequest({ compare: [], success, failure: [] })

describe("a replica's API", () => {
  it.effect("has writes done by the Primary and answers with its own member id; reads are its own", () =>
    Effect.gen(function* () {
      const { primary, replica, sent } = yield* makeApis
      const { header } = yield* put(replica, "a")
      assert.strictEqual(header?.memberId, 2n)
      assert.deepStrictEqual(sent, [peerMethods.forward])
      assert.strictEqual(yield* count(primary, "a"), 1)
      // The stores of this test know nothing of each other.
      assert.strictEqual(yield* count(replica, "a"), 0)
      assert.deepStrictEqual(sent, [peerMethods.forward])
    })
  )

  it.effect("sends a transaction that may write, and runs one that only reads itself", () =>
    Effect.gen(function* () {
      const { primary, replica, sent } = yield* makeApis
      const read = yield* unary(replica, "/etcdserverpb.KV/Txn", txnOf([{ kind: "range", range: rangeOf("a") }]))
      assert.strictEqual(decodeTxnResponse(success(read)).responses.length, 1)
      assert.deepStrictEqual(sent, [])
      const write = yield* unary(replica, "/etcdserverpb.KV/Txn", txnOf([{ kind: "put", put: putOf("a", key("v")) }]))
      assert.strictEqual(decodeTxnResponse(success(write)).header?.memberId, 2n)
      assert.deepStrictEqual(sent, [peerMethods.forward])
      assert.strictEqual(yield* count(primary, "a"), 1)
    })
  )

  it.effect("refuses what is malformed, too large or wrong without the Primary", () =>
    Effect.gen(function* () {
      const { replica, sent } = yield* makeApis
      const malformed = yield* unary(replica, "/etcdserverpb.KV/Put", Uint8Array.of(10, 200))
      assert.strictEqual((malformed as EtcdError).code, Code.InvalidArgument)
      const large = yield* unary(replica, "/etcdserverpb.KV/Put", new Uint8Array(1_572_865))
      assert.strictEqual(large, errors.requestTooLarge)
      const wrong = yield* unary(replica, "/etcdserverpb.KV/Put", encodePutRequest(putOf("", key("v"))))
      assert.strictEqual(wrong, errors.emptyKey)
      assert.deepStrictEqual(sent, [])
    })
  )

  it.effect("takes the steps of a lock at the Primary, and the lock is there", () =>
    Effect.gen(function* () {
      const { primary, replica, sent } = yield* makeApis
      const request = LockRequest.encode({ name: key("lock"), lease: 7n })
      const answer = yield* unary(replica, "/v3lockpb.Lock/Lock", request)
      const locked = LockResponse.decode(success(answer))
      assert.strictEqual(new TextDecoder().decode(locked.key), "lock/7")
      assert.strictEqual(locked.header?.memberId, 2n)
      assert.deepStrictEqual(sent, [peerMethods.forward])
      assert.strictEqual(yield* count(primary, "lock/7"), 1)
    })
  )

  it.effect("keeps leases alive that live at the Primary", () =>
    Effect.gen(function* () {
      const { primary, replica } = yield* makeApis
      primary.leaseTtls.set(7n, 60)
      const told: Array<LeaseKeepAliveResponse> = []
      const context = { identity: undefined, commonName: undefined, metadata: () => undefined }
      const stream = replica.api.stream("/etcdserverpb.Lease/LeaseKeepAlive", context, {
        send: (bytes) => {
          told.push(LeaseKeepAliveResponse.decode(bytes))
          return true
        },
        end: () => {}
      })
      stream.message(LeaseKeepAliveRequest.encode({ id: 7n }))
      yield* pass(50)
      assert.deepStrictEqual(
        told.map(({ header, id, ttl }) => [header?.memberId, id, ttl]),
        [[2n, 7n, 60]]
      )
    })
  )

  it.effect("answers a write with request timed out when there is no Primary for etcd's request time", () =>
    Effect.gen(function* () {
      const { primary, replica } = yield* makeApis
      primary.become("replica", undefined)
      replica.become("replica", undefined)
      const answer = yield* unary(replica, "/etcdserverpb.KV/Put", encodePutRequest(putOf("a", key("v"))))
      assert.deepStrictEqual(answer, errors.requestTimedOut)
    })
  )
})

describe("members", () => {
  it.effect("that run are not removed; one that is dead is told to the Elector, by its name", () =>
    Effect.gen(function* () {
      const { hub, primary, replica } = yield* makeApis
      const left: Array<string> = []
      primary.network.handle(peerMethods.leave, (bytes, from, answer) => {
        const { forGood, name } = decodeLeaveRequest(bytes)
        left.push(`${from} ${name.nodeId} ${name.incarnation} ${forGood}`)
        answer.succeed(new Uint8Array(0))
      })
      const remove = (id: bigint) =>
        unary(replica, "/etcdserverpb.Cluster/MemberRemove", MemberRemoveRequest.encode({ id }))
      assert.deepStrictEqual(yield* remove(77n), errors.memberNotFound)
      const removed = yield* remove(5n)
      assert.deepStrictEqual(left, ["n2 dev-node-1 a true"])
      assert.deepStrictEqual(MemberRemoveResponse.decode(success(removed)).members, [])
      // Now it runs: at its address somebody answers.
      hub.join({
        nodeId: "dev-node-1",
        address: "n5:2381",
        after: (_millis, run) => {
          queueMicrotask(run)
          return () => {}
        },
        handlers: new Map([[peerMethods.getNodeState, (_bytes, _from, answer) => answer.succeed(new Uint8Array(0))]]),
        streamHandlers: new Map(),
        alive: true,
        calls: new Set(),
        ends: new Set()
      })
      const refused = (yield* remove(5n)) as EtcdError
      assert.strictEqual(refused.code, Code.FailedPrecondition)
      assert.match(refused.message, /a member that runs cannot be removed by hand/)
      assert.strictEqual(left.length, 1)
    })
  )

  it.effect("one that is dead stays when there is no Elector to tell", () =>
    Effect.gen(function* () {
      const { hub, replica } = yield* makeApis
      hub.decide = () => "cut"
      const request = MemberRemoveRequest.encode({ id: 5n })
      const answer = yield* unary(replica, "/etcdserverpb.Cluster/MemberRemove", request)
      assert.deepStrictEqual(answer, errors.unhealthyCluster)
    })
  )

  it.effect("the leader alone hands over: to a member, which it may be itself", () =>
    Effect.gen(function* () {
      const { primary, replica } = yield* makeApis
      const move = (node: Node, targetId: bigint) =>
        unary(node, "/etcdserverpb.Maintenance/MoveLeader", MoveLeaderRequest.encode({ targetId }))
      assert.deepStrictEqual(yield* move(replica, 2n), errors.notLeader)
      assert.deepStrictEqual(yield* move(primary, 77n), errors.badLeaderTransferee)
      assert.strictEqual(success(yield* move(primary, 1n)).length, 0)
      assert.strictEqual(success(yield* move(primary, 2n)).length, 0)
      assert.deepStrictEqual(primary.handedOver, ["n2"])
    })
  )
})
