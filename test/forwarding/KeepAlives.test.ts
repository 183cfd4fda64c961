/** Streams of keep-alives on every node: answered by the Primary, whoever that is meanwhile. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type EtcdError, errors } from "../../src/core/wire/errors.ts"
import { peerMethods } from "../../src/core/wire/peer/methods.ts"
import type { KeepAliveStream } from "../../src/services/Leases.ts"
import { makeNodes, type Node, pass } from "./world.ts"

interface Client {
  readonly stream: KeepAliveStream
  /** `id:ttl`, in the order of the answers. */
  readonly told: Array<string>
  readonly headers: Array<{ readonly memberId: bigint; readonly revision: number; readonly raftTerm: number }>
  ended: boolean
  error: EtcdError | undefined
  /** False: the client takes nothing. */
  room: boolean
}

const open = (node: Node): Client => {
  const client = { told: [], headers: [], ended: false, error: undefined, room: true } as unknown as Client
  const stream = node.forwarding.keepAlives({
    send: ({ header, id, ttl }) => {
      client.told.push(`${id}:${ttl}`)
      client.headers.push(header!)
      return client.room
    },
    ended: (error) => {
      client.ended = true
      client.error = error
    }
  })
  return Object.assign(client, { stream })
}

const ready = Effect.gen(function* () {
  const world = yield* makeNodes(3)
  const [first, second] = world.nodes
  for (const node of world.nodes) for (let id = 1n; id <= 20n; id++) node.leaseTtls.set(id, Number(id) * 10)
  return { ...world, first: first!, second: second!, replica: world.nodes[2]! }
})

describe("keep-alives", () => {
  it.effect("on the Active Primary are answered by its own leases, in order", () =>
    Effect.gen(function* () {
      const { first, reign } = yield* ready
      reign(first)
      const client = open(first)
      for (const id of [3n, 1n, 99n]) client.stream.renew(id)
      assert.deepStrictEqual(client.told, ["3:30", "1:10", "99:0"])
    })
  )

  it.effect("on a replica are answered by the Primary, in order, with the replica's member id", () =>
    Effect.gen(function* () {
      const { first, reign, replica } = yield* ready
      reign(first)
      const client = open(replica)
      for (const id of [3n, 1n, 99n]) client.stream.renew(id)
      yield* pass(100)
      assert.deepStrictEqual(client.told, ["3:30", "1:10", "99:0"])
      assert.deepStrictEqual(
        client.headers.map(({ memberId, raftTerm, revision }) => [memberId, revision, raftTerm]),
        client.headers.map(() => [3n, 7, 3])
      )
      client.stream.end(undefined)
      assert.isTrue(client.ended)
      assert.isUndefined(client.error)
    })
  )

  it.effect("of all streams of a node share one call, and what comes meanwhile the next one", () =>
    Effect.gen(function* () {
      const { first, hub, reign, replica } = yield* ready
      reign(first)
      let calls = 0
      hub.decide = (_from, _to, kind, method) => {
        if (kind === "request" && method === peerMethods.keepAlive) calls++
        return { delayMillis: 50 }
      }
      const clients = Array.from({ length: 20 }, () => open(replica))
      clients.forEach(({ stream }, i) => stream.renew(BigInt(i + 1)))
      yield* pass(300)
      assert.strictEqual(calls, 2)
      clients.forEach(({ told }, i) => assert.deepStrictEqual(told, [`${i + 1}:${(i + 1) * 10}`]))
      assert.deepStrictEqual(
        first.keepAlives.map(({ ids }) => ids.length),
        [1, 19]
      )
    })
  )

  it.effect("while there is no Primary the stream stays, and goes on with the next one", () =>
    Effect.gen(function* () {
      const { first, hub, reign, replica, second } = yield* ready
      reign(first)
      const client = open(replica)
      client.stream.renew(1n)
      yield* pass(100)
      hub.kill("n1")
      reign(undefined)
      client.stream.renew(2n)
      client.stream.renew(3n)
      yield* pass(5_000)
      assert.deepStrictEqual(client.told, ["1:10"])
      assert.isFalse(client.ended)
      reign(second)
      yield* pass(100)
      assert.deepStrictEqual(client.told, ["1:10", "2:20", "3:30"])
      reign(replica)
      client.stream.renew(4n)
      yield* pass(20)
      assert.deepStrictEqual(client.told, ["1:10", "2:20", "3:30", "4:40"])
      assert.isFalse(client.ended)
    })
  )

  it.effect(
    "whose answer is lost are asked again: of the same Primary, or of the next one as soon as it is known",
    () =>
      Effect.gen(function* () {
        const { first, hub, reign, replica, second } = yield* ready
        reign(first)
        hub.decide = (from, to) => (from === "n1" || to === "n1" ? "drop" : "deliver")
        const client = open(replica)
        client.stream.renew(1n)
        yield* pass(2_000)
        assert.deepStrictEqual(client.told, [])
        reign(second)
        yield* pass(50)
        assert.deepStrictEqual(client.told, ["1:10"])
        hub.decide = (_from, _to, kind) => (kind === "answer" ? "cut" : "deliver")
        client.stream.renew(2n)
        yield* pass(100)
        hub.decide = () => "deliver"
        yield* pass(300)
        assert.deepStrictEqual(client.told, ["1:10", "2:20"])
      })
  )

  it.effect("that a node was about to answer when it fell are answered by the next Primary", () =>
    Effect.gen(function* () {
      const { first, reign, second } = yield* ready
      reign(first)
      first.answersKeepAlives = false
      const client = open(first)
      client.stream.renew(1n)
      yield* pass(20)
      reign(second)
      yield* pass(50)
      assert.deepStrictEqual(client.told, ["1:10"])
      assert.isTrue(first.keepAlives[0]!.closed)
    })
  )

  it.effect("end with etcd's error when there is no Primary for as long as etcd waits", () =>
    Effect.gen(function* () {
      const { reign, replica } = yield* ready
      reign(undefined)
      const client = open(replica)
      client.stream.renew(1n)
      yield* pass(6_900)
      assert.isFalse(client.ended)
      yield* pass(300)
      assert.isTrue(client.ended)
      assert.strictEqual(client.error, errors.noLeader)
    })
  )

  it.effect("that the Primary refuses end the stream with its reason", () =>
    Effect.gen(function* () {
      const { first, reign, replica } = yield* ready
      reign(first)
      first.answersKeepAlives = false
      const client = open(replica)
      client.stream.renew(1n)
      yield* pass(50)
      first.keepAlives[0]!.sink.ended(errors.corrupt)
      yield* pass(50)
      assert.deepStrictEqual(client.error, errors.corrupt)
    })
  )

  it.effect("a receiver without room gets no more, and the rest when it has room again", () =>
    Effect.gen(function* () {
      const { first, reign, replica } = yield* ready
      reign(first)
      const client = open(replica)
      client.room = false
      client.stream.renew(1n)
      yield* pass(50)
      for (const id of [2n, 3n]) client.stream.renew(id)
      yield* pass(100)
      assert.deepStrictEqual(client.told, ["1:10"])
      client.stream.drained()
      yield* pass(100)
      assert.deepStrictEqual(client.told, ["1:10", "2:20"])
      client.room = true
      client.stream.drained()
      assert.deepStrictEqual(client.told, ["1:10", "2:20", "3:30"])
      client.stream.end(undefined)
      assert.isTrue(client.ended)
    })
  )

  it.effect("a stream takes so many requests that are not answered", () =>
    Effect.gen(function* () {
      const { reign, replica } = yield* ready
      reign(undefined)
      const client = open(replica)
      let taken = 0
      while (taken < 10_000 && client.stream.renew(1n)) taken++
      assert.strictEqual(taken, 4_096)
    })
  )

  it.effect("a stream that is closed is told nothing, and gives up what it asked here", () =>
    Effect.gen(function* () {
      const { first, reign, replica } = yield* ready
      reign(first)
      const there = open(replica)
      there.stream.renew(1n)
      there.stream.close()
      first.answersKeepAlives = false
      const here = open(first)
      here.stream.renew(1n)
      here.stream.close()
      yield* pass(100)
      assert.deepStrictEqual([...there.told, ...here.told], [])
      assert.isTrue(first.keepAlives.find(({ ids }) => ids[0] === 1n && !first.answersKeepAlives)!.closed)
      assert.isFalse(there.ended || here.ended)
    })
  )

  it.effect("a call of a node that stops is given up at the Primary", () =>
    Effect.gen(function* () {
      const { first, reign, replica } = yield* ready
      reign(first)
      first.answersKeepAlives = false
      const client = open(replica)
      client.stream.renew(1n)
      yield* pass(50)
      yield* replica.stop
      yield* pass(50)
      assert.strictEqual(client.error, errors.serverStopped)
      assert.isTrue(first.keepAlives[0]!.closed)
    })
  )
})
