/** What every peer network does. */
import { assert } from "@effect/vitest"
import { Effect, Fiber, type Scope } from "effect"
import { Code } from "../../src/core/wire/errors.ts"
import { messageBytesMax } from "../../src/layers/peers/bounds.ts"
import { type PeerError, PeerRefused, type PeerStreamOut, PeerUnreachable } from "../../src/services/PeerNetwork.ts"
import { call, type Node, type Outcome, Taken, type World } from "./world.ts"

const method = "/netsy.Test/Ask"
const streamMethod = "/netsy.Test/Talk"

const errorIn = (outcome: Outcome): PeerError => {
  assert.isTrue("error" in outcome, JSON.stringify(outcome))
  return (outcome as { readonly error: PeerError }).error
}

const unreachable = (error: PeerError | undefined): PeerUnreachable => {
  assert.instanceOf(error, PeerUnreachable)
  return error
}

const refused = (error: PeerError | undefined): PeerRefused => {
  assert.instanceOf(error, PeerRefused)
  return error
}

const echo = ({ network }: Node): void =>
  network.handle(method, (request, from, answer) =>
    answer.succeed(Buffer.from(`${from} said ${Buffer.from(request).toString()}`))
  )

/** Whoever talks to it: one `Taken` for each stream, in order. */
const listenIn = ({ network }: Node, each: (taken: Taken, out: PeerStreamOut, from: string) => void = () => {}) => {
  const all: Array<{ readonly taken: Taken; readonly out: PeerStreamOut; readonly from: string }> = []
  const begun = new Taken()
  network.handleStream(streamMethod, (from, out) => {
    const taken = new Taken()
    all.push({ taken, out, from })
    each(taken, out, from)
    begun.message(Buffer.from(from))
    return taken
  })
  return { all, begun }
}

type Case = (world: World) => Effect.Effect<void, never, Scope.Scope>

/** The limit of time for what takes none. */
const soon = 1_000

const two = (world: World) => Effect.all([world.node("node-1"), world.node("node-2")])

export const cases: Readonly<Record<string, Case>> = {
  "a call brings the request and the caller's id to the handler, and its answer back": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      echo(b)
      assert.deepStrictEqual(yield* world.within(soon, call(a, b.at, method, "hello")), {
        response: "node-1 said hello"
      })
    }),

  "a node may call itself": (world) =>
    Effect.gen(function* () {
      const a = yield* world.node("node-1")
      echo(a)
      assert.deepStrictEqual(yield* world.within(soon, call(a, a.at, method, "hello")), {
        response: "node-1 said hello"
      })
    }),

  "empty requests and answers arrive": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      b.network.handle(method, (request, _from, answer) => answer.succeed(new Uint8Array(request.length)))
      assert.deepStrictEqual(yield* world.within(soon, call(a, b.at, method, "")), { response: "" })
    }),

  "a handler's refusal arrives with its code and reason": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      b.network.handle(method, (_request, _from, answer) => answer.fail(Code.FailedPrecondition, "grün: 100 %\n"))
      const error = refused(errorIn(yield* world.within(soon, call(a, b.at, method, "x"))))
      assert.deepStrictEqual([error.code, error.reason], [Code.FailedPrecondition, "grün: 100 %\n"])
      assert.strictEqual(error.nodeId, "node-2")
    }),

  "only the first answer of a handler counts": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      b.network.handle(method, (_request, _from, answer) => {
        answer.succeed(Buffer.from("first"))
        answer.succeed(Buffer.from("second"))
        answer.fail(Code.Internal, "third")
      })
      assert.deepStrictEqual(yield* world.within(soon, call(a, b.at, method, "x")), { response: "first" })
    }),

  "a method without a handler is Unimplemented": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      const error = refused(errorIn(yield* world.within(soon, call(a, b.at, method, "x"))))
      assert.strictEqual(error.code, Code.Unimplemented)
      assert.include(error.reason, method)
    }),

  "where nobody listens a call fails as unsent": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      yield* b.kill
      const error = unreachable(errorIn(yield* world.within(soon, call(a, b.at, method, "x"))))
      assert.isTrue(error.unsent)
    }),

  "where another node listens a call fails as unsent": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      echo(b)
      const error = unreachable(errorIn(yield* world.within(soon, call(a, { ...b.at, nodeId: "node-3" }, method, "x"))))
      assert.isTrue(error.unsent)
      assert.include(error.reason, "node-2")
    }),

  "a call without an answer fails when its time is over, and its callee learns of it": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      const seen = new Taken()
      b.network.handle(method, (_request, _from, answer) =>
        answer.onCancelled(() => seen.message(Buffer.from("cancelled")))
      )
      const error = unreachable(errorIn(yield* world.within(soon, call(a, b.at, method, "x", 300))))
      assert.isFalse(error.unsent)
      assert.include(error.reason, "300 ms")
      yield* world.within(soon, seen.count(1))
    }),

  "a call that is given up is not answered any more, and its callee learns of it": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      const seen = new Taken()
      b.network.handle(method, (_request, _from, answer) => {
        answer.onCancelled(() => {
          seen.message(Buffer.from("cancelled"))
          answer.succeed(new Uint8Array(0))
        })
        seen.message(Buffer.from("called"))
      })
      echo(a)
      let replies = 0
      const reply = { succeed: () => void replies++, fail: () => void replies++ }
      const giveUp = a.network.call(b.at, method, new Uint8Array(1), 60_000, reply)
      yield* world.within(soon, seen.count(1))
      giveUp()
      yield* world.within(soon, seen.count(2))
      assert.deepStrictEqual(seen.messages, ["called", "cancelled"])
      // One more call there and back: whatever was under way has arrived.
      yield* world.within(soon, call(b, a.at, method, "x"))
      assert.strictEqual(replies, 0)
    }),

  "a call that was given up at once is never answered": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      echo(b)
      let replies = 0
      const reply = { succeed: () => void replies++, fail: () => void replies++ }
      a.network.call(b.at, method, new Uint8Array(1), 60_000, reply)()
      yield* world.within(soon, call(a, b.at, method, "x"))
      assert.strictEqual(replies, 0)
    }),

  "many calls at once are each answered with their own answer, in whatever order": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      const held: Array<() => void> = []
      b.network.handle(method, (request, _from, answer) => {
        held.push(() => answer.succeed(request))
        if (held.length === 200) for (const one of held.reverse()) one()
      })
      const outcomes = yield* world.within(
        soon,
        Effect.all(
          Array.from({ length: 200 }, (_, nth) => call(a, b.at, method, `call ${nth}`)),
          { concurrency: "unbounded" }
        )
      )
      assert.deepStrictEqual(
        outcomes,
        Array.from({ length: 200 }, (_, nth) => ({ response: `call ${nth}` }))
      )
    }),

  "a message of 16 MiB passes and a longer one is refused": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      b.network.handle(method, (request, _from, answer) => answer.succeed(Buffer.from(String(request.length))))
      const longest = yield* world.within(soon, call(a, b.at, method, new Uint8Array(messageBytesMax), 30_000))
      assert.deepStrictEqual(longest, { response: String(messageBytesMax) })
      const error = refused(
        errorIn(yield* world.within(soon, call(a, b.at, method, new Uint8Array(messageBytesMax + 1))))
      )
      assert.strictEqual(error.code, Code.ResourceExhausted)
      assert.include(error.reason, String(messageBytesMax))
    }),

  "a callee that dies leaves its callers with an outcome that is not known": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      const seen = new Taken()
      b.network.handle(method, () => seen.message(Buffer.from("called")))
      const calling = yield* Effect.forkScoped(call(a, b.at, method, "x", 60_000), { startImmediately: true })
      yield* world.within(soon, seen.count(1))
      yield* Effect.forkScoped(b.kill, { startImmediately: true })
      const error = unreachable(errorIn(yield* world.within(2 * soon, Fiber.join(calling))))
      assert.isFalse(error.unsent)
    }),

  "a node that comes back at its address is reached again": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      echo(b)
      yield* world.within(soon, call(a, b.at, method, "before"))
      yield* b.kill
      errorIn(yield* world.within(soon, call(a, b.at, method, "between")))
      const again = yield* world.node("node-2", b.at)
      echo(again)
      const retried = Effect.gen(function* () {
        for (;;) {
          const outcome = yield* call(a, b.at, method, "after")
          if ("response" in outcome) return outcome.response
          assert.isTrue(unreachable(outcome.error).unsent)
          yield* Effect.sleep(20)
        }
      })
      assert.strictEqual(yield* world.within(2 * soon, retried), "node-1 said after")
    }),

  "a stream keeps the order of messages in both directions": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      const { all } = listenIn(b, (taken, out) => {
        taken.onMessage = (text) => out.send(Buffer.from(`back ${text}`))
      })
      const mine = new Taken()
      const out = a.network.open(b.at, streamMethod, mine)
      for (let i = 0; i < 1_000; i++) out.send(Buffer.from(`message ${i}`))
      yield* world.within(soon, mine.count(1_000))
      assert.deepStrictEqual(
        mine.messages,
        Array.from({ length: 1_000 }, (_, i) => `back message ${i}`)
      )
      assert.strictEqual(all[0]!.from, "node-1")
      assert.strictEqual(all[0]!.taken.messages.length, 1_000)
      out.close()
      assert.isUndefined(yield* world.within(soon, mine.end))
    }),

  "a stream that the caller closes brings everything sent before, and then its end": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      const { all, begun } = listenIn(b)
      const mine = new Taken()
      const out = a.network.open(b.at, streamMethod, mine)
      for (let i = 0; i < 100; i++) out.send(new Uint8Array(10_000))
      yield* world.within(soon, begun.count(1))
      out.close()
      out.close()
      assert.isTrue(out.send(new Uint8Array(1)))
      assert.isUndefined(yield* world.within(soon, all[0]!.taken.end))
      assert.strictEqual(all[0]!.taken.messages.length, 100)
      assert.isUndefined(yield* world.within(soon, mine.end))
      yield* world.within(soon, call(a, b.at, method, "x"))
      assert.deepStrictEqual([mine.ends.length, all[0]!.taken.ends.length], [1, 1])
    }),

  "a stream that the callee closes brings everything sent before, and then the reason": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      const { all } = listenIn(b, (taken, out) => {
        taken.onMessage = () => {
          for (let i = 0; i < 100; i++) out.send(new Uint8Array(10_000))
          out.close({ code: Code.FailedPrecondition, reason: "not the Primary: grün" })
        }
      })
      const mine = new Taken()
      const out = a.network.open(b.at, streamMethod, mine)
      out.send(new Uint8Array(1))
      const error = refused(yield* world.within(soon, mine.end))
      assert.deepStrictEqual([error.code, error.reason], [Code.FailedPrecondition, "not the Primary: grün"])
      assert.strictEqual(mine.messages.length, 100)
      assert.isUndefined(yield* world.within(soon, all[0]!.taken.end))
      assert.isTrue(out.send(new Uint8Array(1)))
    }),

  "a stream that the callee closes at once and without a reason just ends": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      const { all } = listenIn(b, (_taken, out) => out.close())
      const mine = new Taken()
      a.network.open(b.at, streamMethod, mine)
      assert.isUndefined(yield* world.within(soon, mine.end))
      assert.isUndefined(yield* world.within(soon, all[0]!.taken.end))
    }),

  "a stream that nobody serves is refused as Unimplemented": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      const mine = new Taken()
      a.network.open(b.at, streamMethod, mine).send(new Uint8Array(10))
      assert.strictEqual(refused(yield* world.within(soon, mine.end)).code, Code.Unimplemented)
    }),

  "a stream to where nobody listens ends as unsent": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      yield* b.kill
      const mine = new Taken()
      const out = a.network.open(b.at, streamMethod, mine)
      out.send(new Uint8Array(10))
      assert.isTrue(unreachable(yield* world.within(soon, mine.end)).unsent)
      out.close()
      assert.strictEqual(mine.ends.length, 1)
    }),

  "a sender that is faster than the network is told to wait, and loses nothing": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      const { all, begun } = listenIn(b)
      const mine = new Taken()
      const out = a.network.open(b.at, streamMethod, mine)
      out.send(Buffer.from("first"))
      yield* world.within(soon, begun.count(1))
      let sent = 0
      let full = false
      while (!full) {
        const bytes = new Uint8Array(100_000)
        bytes.set(Buffer.from(`message ${sent++}`.padEnd(40)))
        full = !out.send(bytes)
        assert.isBelow(sent, 1_000)
      }
      assert.isAbove(sent, 20)
      yield* world.within(
        soon,
        mine.until(() => mine.drains > 0)
      )
      assert.strictEqual(mine.drains, 1)
      assert.isTrue(out.send(Buffer.from("last")))
      const { taken } = all[0]!
      yield* world.within(soon, taken.count(sent + 2))
      assert.deepStrictEqual(
        taken.messages.map((text) => text.trim()),
        ["first", ...Array.from({ length: sent }, (_, i) => `message ${i}`), "last"]
      )
    }),

  "the callee's messages are held back in the same way": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      let sent = 0
      const { all, begun } = listenIn(b, (taken, out) => {
        taken.onMessage = () => {
          while (out.send(new Uint8Array(100_000))) sent++
          sent++
        }
      })
      const mine = new Taken()
      a.network.open(b.at, streamMethod, mine).send(new Uint8Array(1))
      yield* world.within(soon, begun.count(1))
      const { taken } = all[0]!
      yield* world.within(
        soon,
        taken.until(() => taken.drains > 0)
      )
      yield* world.within(soon, mine.count(sent))
      assert.isAbove(sent, 20)
    }),

  "a sender that never waits loses its stream instead of filling the memory": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      listenIn(b)
      const mine = new Taken()
      const out = a.network.open(b.at, streamMethod, mine)
      for (let i = 0; i < 80; i++) out.send(new Uint8Array(1 << 20))
      assert.include(unreachable(yield* world.within(soon, mine.end)).reason, "wait to be sent")
    }),

  "when the callee dies the caller's stream breaks": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      const { begun } = listenIn(b)
      const mine = new Taken()
      a.network.open(b.at, streamMethod, mine).send(new Uint8Array(1))
      yield* world.within(soon, begun.count(1))
      yield* Effect.forkScoped(b.kill, { startImmediately: true })
      assert.isFalse(unreachable(yield* world.within(2 * soon, mine.end)).unsent)
    }),

  "when the caller dies the callee's stream breaks": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      const { all, begun } = listenIn(b)
      a.network.open(b.at, streamMethod, new Taken()).send(new Uint8Array(1))
      yield* world.within(soon, begun.count(1))
      yield* Effect.forkScoped(a.kill, { startImmediately: true })
      const error = unreachable(yield* world.within(2 * soon, all[0]!.taken.end))
      assert.strictEqual(error.nodeId, "node-1")
    }),

  "when the way falls silent streams break at both ends within three seconds": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      const { all, begun } = listenIn(b)
      const way = yield* world.way(a, b)
      const mine = new Taken()
      a.network.open(way.at, streamMethod, mine).send(new Uint8Array(1))
      yield* world.within(soon, begun.count(1))
      way.fallSilent()
      const both = Effect.all([mine.end, all[0]!.taken.end], { concurrency: "unbounded" })
      const [near, far] = yield* world.within(3_000, both)
      assert.include(unreachable(near).reason, "nothing heard")
      unreachable(far)
    }),

  "a stream on which nothing is said stays open": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      const { all, begun } = listenIn(b)
      const mine = new Taken()
      const out = a.network.open(b.at, streamMethod, mine)
      yield* world.within(soon, begun.count(1))
      yield* world.within(4_000, Effect.sleep(3_000))
      assert.deepStrictEqual([mine.ends.length, all[0]!.taken.ends.length], [0, 0])
      out.send(Buffer.from("still there"))
      yield* world.within(soon, all[0]!.taken.count(1))
    }),

  "a probe finds a node that listens and one that does not": (world) =>
    Effect.gen(function* () {
      const [a, b] = yield* two(world)
      const probe = Effect.callback<string>((resume) =>
        a.network.probe(b.at, 1_000, (found) => resume(Effect.succeed(found)))
      )
      assert.strictEqual(yield* world.within(soon, probe), "listening")
      yield* b.kill
      assert.strictEqual(yield* world.within(soon, probe), "dead")
    })
}
