/** Calls that only the Primary can answer, from every node. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { AuthStatusResponse } from "../../src/core/wire/codec/auth.ts"
import { encodeHeaderResponse, decodeHeaderResponse } from "../../src/core/wire/codec/common.ts"
import { errors } from "../../src/core/wire/errors.ts"
import { peerMethods } from "../../src/core/wire/peer/methods.ts"
import { call, type Caller, type Execution, failure, makeNodes, pass, utf8 } from "./world.ts"

const headed = (revision: number, memberId = 1n) =>
  encodeHeaderResponse({ header: { clusterId: 9n, memberId, revision, raftTerm: 3 } })

const answered = (revision: number) => (execution: Execution) => execution.succeed(headed(revision))

const headerOf = (caller: Caller) => decodeHeaderResponse(caller.answer as Uint8Array).header

describe("a call on the Active Primary", () => {
  it.effect("is run there at once, and nothing is sent", () =>
    Effect.gen(function* () {
      const { hub, nodes, reign } = yield* makeNodes(2)
      const [primary] = nodes
      reign(primary)
      let passed = 0
      hub.decide = () => {
        passed++
        return "deliver"
      }
      const caller = call(primary!, "a")
      assert.deepStrictEqual(caller.answer, utf8("here a"))
      yield* pass(200)
      assert.strictEqual(passed, 0)
    })
  )
})

describe("a call on a replica", () => {
  it.effect("is answered by the Primary, with the member id of the node that was asked", () =>
    Effect.gen(function* () {
      const { nodes, reign } = yield* makeNodes(2)
      const [primary, replica] = nodes
      reign(primary)
      primary!.onExecute = answered(12)
      const caller = call(replica!, "a")
      yield* pass(50)
      assert.deepStrictEqual(headerOf(caller), { clusterId: 9n, memberId: 2n, revision: 12, raftTerm: 3 })
      assert.strictEqual(caller.ranHere, 0)
      assert.strictEqual(caller.answers, 1)
    })
  )

  it.effect("tells the Primary who asks: name, certificate and token, and nothing else", () =>
    Effect.gen(function* () {
      const { nodes, reign } = yield* makeNodes(2)
      const [primary, replica] = nodes
      reign(primary)
      primary!.onExecute = answered(12)
      const metadata = new Map([
        ["token", "t.1"],
        ["hasleader", "true"]
      ])
      const metadataOf = (name: string) => metadata.get(name)
      call(replica!, "a", {}, undefined, { identity: "id", commonName: "cn", metadata: metadataOf })
      yield* pass(50)
      const { context, method, request } = primary!.executed[0]!
      assert.strictEqual(method, "/test/Method")
      assert.strictEqual(request, "a")
      assert.strictEqual(context.identity, "id")
      assert.strictEqual(context.commonName, "cn")
      assert.strictEqual(context.metadata("token"), "t.1")
      assert.isUndefined(context.metadata("hasleader"))
      assert.isTrue(context.forwarded)
    })
  )

  it.effect("that is refused by the Primary is refused with the same code and text", () =>
    Effect.gen(function* () {
      const { nodes, reign } = yield* makeNodes(2)
      const [primary, replica] = nodes
      reign(primary)
      primary!.onExecute = ({ fail }) => fail(errors.leaseNotFound)
      const caller = call(replica!, "a")
      yield* pass(50)
      assert.deepStrictEqual(failure(caller), errors.leaseNotFound)
    })
  )

  it.effect("that is wrong whoever sends it is refused without the Primary", () =>
    Effect.gen(function* () {
      const { nodes } = yield* makeNodes(2)
      const caller = call(nodes[1]!, "wrong")
      assert.strictEqual(failure(caller), errors.emptyKey)
    })
  )

  it.effect("is answered when the replica has applied what the answer shows, an error too", () =>
    Effect.gen(function* () {
      const { nodes, reign } = yield* makeNodes(2)
      const [primary, replica] = nodes
      reign(primary)
      primary!.commitIndex = 40
      primary!.onExecute = ({ fail, request, succeed }) =>
        request === "bad" ? fail(errors.leaseExists) : succeed(headed(12))
      const good = call(replica!, "good")
      const bad = call(replica!, "bad")
      yield* pass(100)
      replica!.apply(39)
      yield* pass(100)
      assert.isUndefined(good.answer)
      assert.isUndefined(bad.answer)
      replica!.apply(40)
      assert.strictEqual(headerOf(good)?.revision, 12)
      assert.deepStrictEqual(failure(bad), errors.leaseExists)
    })
  )

  it.effect("that has happened but is not seen here in time ends in request timed out", () =>
    Effect.gen(function* () {
      const { nodes, reign } = yield* makeNodes(2)
      const [primary, replica] = nodes
      reign(primary)
      primary!.commitIndex = 40
      primary!.onExecute = answered(12)
      const caller = call(replica!, "a")
      yield* pass(6_900)
      assert.isUndefined(caller.answer)
      yield* pass(300)
      assert.strictEqual(failure(caller), errors.requestTimedOut)
      replica!.apply(40)
      assert.strictEqual(caller.answers, 1)
    })
  )
})

describe("while there is no Primary", () => {
  it.effect("calls are held, and run here in order when this node becomes it", () =>
    Effect.gen(function* () {
      const { nodes, reign } = yield* makeNodes(2)
      const order: Array<string> = []
      const callers = ["a", "b", "c"].map((name) =>
        call(nodes[0]!, name, {}, (succeed) => {
          order.push(name)
          succeed(utf8(name))
        })
      )
      yield* pass(3_000)
      assert.isTrue(callers.every(({ answer }) => answer === undefined))
      nodes[0]!.become("starting", undefined)
      yield* pass(1_000)
      assert.deepStrictEqual(order, [])
      reign(nodes[0])
      assert.deepStrictEqual(order, ["a", "b", "c"])
      assert.isTrue(callers.every(({ answers }) => answers === 1))
    })
  )

  it.effect("calls are held, and sent in order when another node becomes it", () =>
    Effect.gen(function* () {
      const { nodes, reign } = yield* makeNodes(2)
      const [primary, replica] = nodes
      primary!.onExecute = answered(12)
      const callers = ["a", "b", "c"].map((name) => call(replica!, name))
      yield* pass(3_000)
      reign(primary)
      yield* pass(20)
      assert.deepStrictEqual(
        primary!.executed.map(({ request }) => request),
        ["a", "b", "c"]
      )
      assert.isTrue(callers.every(({ answers }) => answers === 1))
    })
  )

  it.effect("a Primary that is found without news is used within a moment", () =>
    Effect.gen(function* () {
      const { nodes } = yield* makeNodes(2)
      const [primary, replica] = nodes
      primary!.role = "active"
      primary!.onExecute = answered(12)
      const caller = call(replica!, "a")
      yield* pass(500)
      replica!.primary = primary!.info
      yield* pass(250)
      assert.strictEqual(caller.answers, 1)
    })
  )

  it.effect("calls end with etcd's error after etcd's request time, and are not sent after it", () =>
    Effect.gen(function* () {
      const { nodes, reign } = yield* makeNodes(2)
      const [primary, replica] = nodes
      const write = call(replica!, "write")
      const lease = call(replica!, "lease", { withoutPrimary: errors.noLeader })
      yield* pass(6_900)
      assert.isUndefined(write.answer)
      yield* pass(300)
      assert.strictEqual(failure(write), errors.requestTimedOut)
      assert.strictEqual(failure(lease), errors.noLeader)
      reign(primary)
      yield* pass(300)
      assert.deepStrictEqual(primary!.executed, [])
    })
  )

  it.effect("patient calls are held until their callers go", () =>
    Effect.gen(function* () {
      const { nodes, reign } = yield* makeNodes(2)
      const [primary, replica] = nodes
      primary!.onExecute = answered(12)
      const stays = call(replica!, "stays", { heldLong: true })
      const goes = call(replica!, "goes", { heldLong: true })
      yield* pass(30_000)
      assert.isUndefined(stays.answer)
      goes.leave()
      assert.strictEqual(failure(goes), errors.requestCanceled)
      reign(primary)
      yield* pass(50)
      assert.strictEqual(stays.answers, 1)
      assert.deepStrictEqual(
        primary!.executed.map(({ request }) => request),
        ["stays"]
      )
    })
  )

  it.effect("a call whose caller goes is dropped", () =>
    Effect.gen(function* () {
      const { nodes, reign } = yield* makeNodes(2)
      const [primary, replica] = nodes
      const caller = call(replica!, "a")
      yield* pass(100)
      caller.leave()
      reign(primary)
      yield* pass(100)
      assert.deepStrictEqual(primary!.executed, [])
      assert.strictEqual(caller.answers, 1)
    })
  )

  it.effect("a call that could not be handed over and is held again is dropped when its caller goes", () =>
    Effect.gen(function* () {
      const { hub, nodes, reign } = yield* makeNodes(3)
      const [first, second, replica] = nodes
      reign(first)
      hub.decide = (_from, to) => (to === "n1" ? "cut" : "deliver")
      const [gone, patient] = [call(replica!, "a"), call(replica!, "b")]
      yield* pass(1_000)
      gone.leave()
      reign(second)
      yield* pass(100)
      assert.deepStrictEqual(
        second!.executed.map(({ request }) => request),
        ["b"]
      )
      assert.deepStrictEqual([gone.answers, patient.answers], [1, 0])
    })
  )

  it.effect("calls are held up to a number and to a size; more are too many requests, and room comes back", () =>
    Effect.gen(function* () {
      const { nodes } = yield* makeNodes(1, { callsMax: 3, bytesMax: 10 })
      const [node] = nodes
      const held = ["aaaa", "bbbb"].map((name) => call(node!, name))
      assert.strictEqual(failure(call(node!, "ccc")), errors.tooManyRequests)
      const third = call(node!, "cc")
      assert.isUndefined(third.answer)
      assert.strictEqual(failure(call(node!, "")), errors.tooManyRequests)
      third.leave()
      const fourth = call(node!, "d")
      assert.isUndefined(fourth.answer)
      yield* pass(7_200)
      assert.isTrue([...held, fourth].every((caller) => failure(caller) === errors.requestTimedOut))
      assert.isUndefined(call(node!, "eeeeeeeeee").answer)
    })
  )

  it.effect("a node that stops says so to those that it holds, and leaves open what was sent", () =>
    Effect.gen(function* () {
      const { nodes, reign } = yield* makeNodes(2)
      const [primary, replica] = nodes
      reign(primary)
      const sent = call(replica!, "sent")
      yield* pass(20)
      assert.strictEqual(primary!.executed.length, 1)
      reign(undefined)
      const held = call(replica!, "held")
      yield* replica!.stop
      assert.strictEqual(failure(sent), errors.requestTimedOut)
      assert.strictEqual(failure(held), errors.serverStopped)
    })
  )
})

describe("a change of the Primary while calls are on their way", () => {
  it.effect("a write whose answer is lost is never sent again", () =>
    Effect.gen(function* () {
      const { hub, nodes, reign } = yield* makeNodes(3)
      const [first, second, replica] = nodes
      reign(first)
      first!.onExecute = answered(12)
      hub.decide = (_from, _to, kind) => (kind === "answer" ? "drop" : "deliver")
      const caller = call(replica!, "a")
      yield* pass(1_000)
      assert.strictEqual(first!.executed.length, 1)
      hub.decide = () => "deliver"
      reign(second)
      yield* pass(10_000)
      assert.strictEqual(failure(caller), errors.requestTimedOut)
      assert.strictEqual(caller.answers, 1)
      assert.deepStrictEqual(second!.executed, [])
      assert.strictEqual(first!.executed.length, 1)
    })
  )

  it.effect("a write whose connection breaks ends in request timed out at once", () =>
    Effect.gen(function* () {
      const { hub, nodes, reign } = yield* makeNodes(3)
      const [first, second, replica] = nodes
      reign(first)
      const caller = call(replica!, "a")
      yield* pass(100)
      hub.kill("n1")
      yield* pass(100)
      assert.strictEqual(failure(caller), errors.requestTimedOut)
      reign(second)
      yield* pass(1_000)
      assert.deepStrictEqual(second!.executed, [])
    })
  )

  it.effect("what was not handed over is sent to the next one, in order", () =>
    Effect.gen(function* () {
      const { hub, nodes, reign } = yield* makeNodes(3)
      const [first, second, replica] = nodes
      reign(first)
      second!.onExecute = answered(13)
      hub.decide = (_from, to) => (to === "n1" ? "cut" : "deliver")
      const callers = ["a", "b", "c"].map((name) => call(replica!, name))
      yield* pass(1_000)
      assert.isTrue(callers.every(({ answer }) => answer === undefined))
      reign(second)
      yield* pass(100)
      assert.deepStrictEqual(
        second!.executed.map(({ request }) => request),
        ["a", "b", "c"]
      )
      assert.deepStrictEqual(first!.executed, [])
      assert.isTrue(callers.every(({ answers }) => answers === 1))
    })
  )

  it.effect("a node that is not the Primary any more says so before it looks, and another one is asked", () =>
    Effect.gen(function* () {
      const { nodes, reign } = yield* makeNodes(3)
      const [first, second, replica] = nodes
      reign(second)
      second!.onExecute = answered(13)
      replica!.become("replica", first!.info)
      const caller = call(replica!, "a")
      yield* pass(500)
      assert.isUndefined(caller.answer)
      replica!.become("replica", second!.info)
      yield* pass(50)
      assert.strictEqual(headerOf(caller)?.revision, 13)
      assert.deepStrictEqual(first!.executed, [])
    })
  )

  it.effect("one that turns calls away is asked again only every moment", () =>
    Effect.gen(function* () {
      const { hub, nodes } = yield* makeNodes(2)
      const [first, replica] = nodes
      replica!.become("replica", first!.info)
      let requests = 0
      hub.decide = (_from, _to, kind, method) => {
        if (kind === "request" && method === peerMethods.forward) requests++
        return "deliver"
      }
      call(replica!, "a")
      yield* pass(1_000)
      assert.isAtLeast(requests, 4)
      assert.isAtMost(requests, 12)
    })
  )

  it.effect("a call that the Primary has taken but not begun when it falls is held for the next one", () =>
    Effect.gen(function* () {
      const { nodes, reign } = yield* makeNodes(3)
      const [first, second, replica] = nodes
      reign(first)
      second!.onExecute = answered(13)
      const caller = call(replica!, "a")
      let refuse = (): void => {}
      const own = call(first!, "b", {}, (_succeed, fail) => {
        refuse = () => fail(errors.noLeader)
      })
      yield* pass(20)
      reign(second)
      first!.executed[0]!.fail(errors.noLeader)
      refuse()
      yield* pass(100)
      assert.strictEqual(headerOf(caller)?.revision, 13)
      assert.strictEqual(headerOf(own)?.revision, 13)
      assert.strictEqual(own.ranHere, 1)
    })
  )

  it.effect("what changes nothing is asked of the next one, whatever became of the first question", () =>
    Effect.gen(function* () {
      const { hub, nodes, reign } = yield* makeNodes(3)
      const [first, second, replica] = nodes
      reign(first)
      second!.onExecute = answered(13)
      hub.decide = (from, to) => (from === "n1" || to === "n1" ? "drop" : "deliver")
      const caller = call(replica!, "a", { repeatable: true })
      yield* pass(2_000)
      reign(second)
      yield* pass(50)
      assert.strictEqual(headerOf(caller)?.revision, 13)
      assert.strictEqual(caller.answers, 1)
    })
  )

  it.effect("what changes nothing and was sent is run here when this node becomes the Primary", () =>
    Effect.gen(function* () {
      const { nodes, reign } = yield* makeNodes(2)
      const [first, replica] = nodes
      reign(first)
      const read = call(replica!, "read", { repeatable: true })
      const write = call(replica!, "write")
      yield* pass(20)
      reign(replica)
      yield* pass(20)
      assert.deepStrictEqual(read.answer, utf8("here read"))
      assert.isUndefined(write.answer)
      first!.executed[1]!.succeed(headed(12))
      yield* pass(20)
      assert.strictEqual(headerOf(write)?.memberId, 2n)
      assert.strictEqual(write.ranHere, 0)
      assert.strictEqual(read.answers, 1)
    })
  )
})

describe("callers that go", () => {
  it.effect("late answers are given up at the Primary too", () =>
    Effect.gen(function* () {
      const { nodes, reign } = yield* makeNodes(2)
      const [primary, replica] = nodes
      reign(primary)
      const caller = call(replica!, "a", { answersLate: true })
      yield* pass(60_000)
      assert.isUndefined(caller.answer)
      let closed = 0
      primary!.executed[0]!.context.onClosed!(() => closed++)
      caller.leave()
      yield* pass(50)
      assert.strictEqual(closed, 1)
      assert.strictEqual(failure(caller), errors.requestCanceled)
    })
  )

  it.effect("a step that was sent is waited for: whoever has to take it back must know it", () =>
    Effect.gen(function* () {
      const { nodes, reign } = yield* makeNodes(2)
      const [primary, replica] = nodes
      reign(primary)
      const caller = call(replica!, "a", { heldLong: true })
      yield* pass(20)
      caller.leave()
      assert.isUndefined(caller.answer)
      primary!.executed[0]!.succeed(headed(12))
      yield* pass(20)
      assert.strictEqual(headerOf(caller)?.revision, 12)
    })
  )
})

describe("what nobody understands", () => {
  it.effect("a request that is no message is refused, an answer that is none ends in request timed out", () =>
    Effect.gen(function* () {
      const { nodes, reign } = yield* makeNodes(2)
      const [primary, replica] = nodes
      reign(primary)
      primary!.onExecute = ({ succeed }) => succeed(Uint8Array.of(10, 200))
      const caller = call(replica!, "a")
      yield* pass(50)
      assert.strictEqual(failure(caller), errors.requestTimedOut)
    })
  )

  it.effect("other fields than the header reach the client as the Primary sent them", () =>
    Effect.gen(function* () {
      const { nodes, reign } = yield* makeNodes(2)
      const [primary, replica] = nodes
      reign(primary)
      const header = { clusterId: 9n, memberId: 1n, revision: 5, raftTerm: 3 }
      primary!.onExecute = ({ succeed }) =>
        succeed(AuthStatusResponse.encode({ header, enabled: true, authRevision: 8 }))
      const caller = call(replica!, "a")
      yield* pass(50)
      assert.deepStrictEqual(AuthStatusResponse.decode(caller.answer as Uint8Array), {
        header: { ...header, memberId: 2n },
        enabled: true,
        authRevision: 8
      })
    })
  )
})
