/** The network in memory: what every peer network does, and the faults that only it has. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Fate, MemoryPeers, type Passing } from "../../src/layers/PeerNetworkMemory.ts"
import { PeerUnreachable } from "../../src/services/PeerNetwork.ts"
import { random } from "../wire/random.ts"
import { cases } from "./conformance.ts"
import { call, Taken, virtualWorld } from "./world.ts"

const method = "/netsy.Test/Ask"
const streamMethod = "/netsy.Test/Talk"

describe("PeerNetworkMemory", () => {
  for (const [name, run] of Object.entries(cases)) it.effect(name, () => run(virtualWorld()))
})

/** Two nodes; what passes from `node-1` to `node-2` and back meets its fate by its kind. */
const faulty = (there: (kind: Passing) => Fate, back: (kind: Passing) => Fate = () => "deliver") =>
  Effect.gen(function* () {
    const hub = new MemoryPeers()
    const world = virtualWorld(hub)
    hub.decide = (from, _to, kind) => (from === "node-1" ? there(kind) : back(kind))
    const a = yield* world.node("node-1")
    const b = yield* world.node("node-2")
    const calls: Array<string> = []
    b.network.handle(method, (request, _from, answer) => {
      calls.push(Buffer.from(request).toString())
      answer.succeed(request)
    })
    const theirs = new Taken()
    b.network.handleStream(streamMethod, (_from, out) => {
      theirs.onMessage = (text) => void out.send(Buffer.from(text))
      return theirs
    })
    return { world, hub, a, b, calls, theirs }
  })

const unreachable = (outcome: object | undefined): PeerUnreachable => {
  const error = outcome !== undefined && "error" in outcome ? outcome.error : outcome
  assert.instanceOf(error, PeerUnreachable)
  return error
}

const on = (kind: Passing, fate: Fate) => (passing: Passing) => (passing === kind ? fate : "deliver")

describe("faults of PeerNetworkMemory", () => {
  it.effect("a request that is cut is unsent, and one that is dropped runs out of time", () =>
    Effect.gen(function* () {
      const cut = yield* faulty(on("request", "cut"))
      assert.isTrue(unreachable(yield* cut.world.within(100, call(cut.a, cut.b.at, method, "x"))).unsent)
      const dropped = yield* faulty(on("request", "drop"))
      const error = unreachable(yield* dropped.world.within(6_000, call(dropped.a, dropped.b.at, method, "x", 5_000)))
      assert.isFalse(error.unsent)
      assert.deepStrictEqual([cut.calls, dropped.calls], [[], []])
    })
  )

  it.effect("an answer that is cut or dropped leaves a call whose outcome is not known", () =>
    Effect.gen(function* () {
      for (const fate of ["cut", "drop"] as const) {
        const { a, b, calls, world } = yield* faulty(() => "deliver", on("answer", fate))
        const error = unreachable(yield* world.within(6_000, call(a, b.at, method, "x", 5_000)))
        assert.isFalse(error.unsent)
        assert.deepStrictEqual(calls, ["x"])
      }
    })
  )

  it.effect("delays overtake nothing within a stream", () =>
    Effect.gen(function* () {
      const source = random(7)
      const delay = (): Fate => ({ delayMillis: source.int(200) })
      const { a, b, theirs, world } = yield* faulty(delay, delay)
      const mine = new Taken()
      const out = a.network.open(b.at, streamMethod, mine)
      const sent = Array.from({ length: 200 }, (_, nth) => `message ${nth}`)
      for (const text of sent) out.send(Buffer.from(text))
      yield* world.within(2_000, mine.count(sent.length))
      assert.deepStrictEqual(mine.messages, sent)
      assert.deepStrictEqual(theirs.messages, sent)
    })
  )

  it.effect("nothing behind a dropped message of a stream arrives, and a one-way silence breaks it at both ends", () =>
    Effect.gen(function* () {
      let messages = 0
      let silent = false
      const { a, b, theirs, world } = yield* faulty((kind) => {
        if (kind === "message" && ++messages === 3) silent = true
        return silent ? "drop" : "deliver"
      })
      const mine = new Taken()
      const out = a.network.open(b.at, streamMethod, mine)
      for (let i = 0; i < 10; i++) out.send(Buffer.from(`message ${i}`))
      const theirEnd = yield* world.within(3_000, theirs.end)
      assert.include(unreachable(theirEnd).reason, "nothing heard")
      assert.deepStrictEqual(theirs.messages, ["message 0", "message 1"])
      unreachable(yield* world.within(3_000, mine.end))
    })
  )

  it.effect("a cut breaks streams that are open at both ends", () =>
    Effect.gen(function* () {
      let isCut = false
      const { a, b, theirs, world } = yield* faulty(() => (isCut ? "cut" : "deliver"))
      const mine = new Taken()
      a.network.open(b.at, streamMethod, mine).send(Buffer.from("x"))
      yield* world.within(100, theirs.count(1))
      isCut = true
      unreachable(yield* world.within(1_000, mine.end))
      unreachable(yield* world.within(1_000, theirs.end))
    })
  )

  it.effect("a killed node hears nothing of what is under way to it, and says nothing more", () =>
    Effect.gen(function* () {
      const { a, b, calls, hub, theirs, world } = yield* faulty((kind) =>
        kind === "request" || kind === "message" ? { delayMillis: 300 } : "deliver"
      )
      const mine = new Taken()
      a.network.open(b.at, streamMethod, mine).send(Buffer.from("x"))
      const calling = world.within(2_000, call(a, b.at, method, "x", 10_000))
      a.network.call(b.at, method, Buffer.from("x"), 10_000, { succeed: () => {}, fail: () => {} })
      yield* world.within(200, Effect.sleep(100))
      hub.kill("node-2")
      b.network.call(a.at, method, Buffer.from("x"), 10, {
        succeed: () => assert.fail("a dead node was answered"),
        fail: () => assert.fail("a dead node was answered")
      })
      assert.isTrue(unreachable(yield* calling).unsent)
      unreachable(yield* world.within(1_000, mine.end))
      yield* world.within(2_000, Effect.sleep(1_000))
      assert.deepStrictEqual([calls, theirs.messages, theirs.ends], [[], [], []])
    })
  )

  it.effect("a probe finds cut ways dead and dropped ones silent", () =>
    Effect.gen(function* () {
      for (const [fate, expected] of [
        ["cut", "dead"],
        ["drop", "silent"],
        [{ delayMillis: 50 }, "listening"],
        [{ delayMillis: 5_000 }, "silent"]
      ] as const) {
        const { a, b, world } = yield* faulty(on("probe", fate))
        const probe = Effect.callback<string>((resume) =>
          a.network.probe(b.at, 1_000, (found) => resume(Effect.succeed(found)))
        )
        assert.strictEqual(yield* world.within(2_000, probe), expected)
      }
    })
  )

  it.effect("bytes are copied on their way", () =>
    Effect.gen(function* () {
      const { a, b, calls, theirs, world } = yield* faulty(() => "deliver")
      const bytes = Buffer.from("before")
      const out = a.network.open(b.at, streamMethod, new Taken())
      out.send(bytes)
      a.network.call(b.at, method, bytes, 1_000, { succeed: () => {}, fail: () => {} })
      bytes.set(Buffer.from("after!"))
      yield* world.within(100, theirs.count(1))
      assert.deepStrictEqual([theirs.messages, calls], [["before"], ["before"]])
    })
  )
})
