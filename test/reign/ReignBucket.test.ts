import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { storeRule } from "../../src/core/quorum/rule.ts"
import type { Deposed } from "../../src/services/Reign.ts"
import {
  beginTerm,
  leaseMillis,
  other,
  pass,
  quorumMode,
  quorumRule,
  self,
  storeMode,
  timeoutMillis,
  World
} from "./world.ts"

/** Why the term is over, or undefined while it is not. */
const reasonOf = (over: Effect.Effect<never, Deposed>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(Effect.flip(over), { startImmediately: true })
    const exit = fiber.pollUnsafe()
    yield* Fiber.interrupt(fiber)
    return exit !== undefined && Exit.isSuccess(exit) ? exit.value.by : undefined
  })
const begun = (world: World, arbiter = storeMode) =>
  Effect.gen(function* () {
    const term = yield* beginTerm(world, arbiter)
    yield* pass(10)
    yield* term.hold.renewed
    return term
  })

describe("a term in mode store", () => {
  it.effect("holds nothing before its first renewal has landed, and then for a lease from its sending", () =>
    Effect.gen(function* () {
      const world = new World()
      world.failPuts(1, { kind: "delay", millis: 500 })
      const { hold } = yield* beginTerm(world, storeMode)
      assert.isFalse(hold.mayAcknowledge())
      yield* pass(490)
      assert.isFalse(hold.mayAcknowledge())
      yield* pass(20)
      assert.isTrue(hold.mayAcknowledge())
      yield* hold.renewed
      world.unreachable()
      yield* pass(leaseMillis - 520)
      assert.isTrue(hold.mayAcknowledge())
      yield* pass(20)
      assert.isFalse(hold.mayAcknowledge())
    })
  )

  it.effect("is renewed every third of the lease, with counters that never repeat", () =>
    Effect.gen(function* () {
      const world = new World()
      const { hold } = yield* begun(world)
      const counters = new Set<number>()
      let told = 0
      hold.onRenewed(() => told++)
      yield* pass(10 * leaseMillis, () => {
        assert.isTrue(hold.mayAcknowledge())
        counters.add(world.arbiter.counter)
      })
      assert.isAtLeast(counters.size, 29)
      assert.isAtMost(counters.size, 32)
      assert.isAtLeast(told, 29)
      assert.strictEqual(hold.arbiter().counter, world.arbiter.counter)
    })
  )

  it.effect("carries what the arbiter says and writes the deregistration timeout of its own settings", () =>
    Effect.gen(function* () {
      const world = new World()
      const before = { ...storeMode, timeoutMillis: 99_000, leaseMillis: 9_000, recovered: { term: 3, index: 77 } }
      yield* begun(world, before)
      assert.deepStrictEqual(world.arbiter, { ...before, timeoutMillis, leaseMillis, counter: before.counter + 1 })
    })
  )

  it.effect("goes on after answers that were lost, requests that failed, and requests that hang", () =>
    Effect.gen(function* () {
      for (const fault of [
        { kind: "lose" },
        { kind: "fail" },
        { kind: "late", millis: 300 },
        { kind: "hang", effect: true },
        { kind: "hang", effect: false }
      ] as const) {
        const world = new World()
        const { hold, status } = yield* begun(world)
        world.failPuts(1, fault)
        let troubled = false
        yield* pass(3 * leaseMillis, () => {
          assert.isTrue(hold.mayAcknowledge(), fault.kind)
          troubled ||= status.troubles().length > 0
        })
        assert.strictEqual(status.troubles().length, 0, fault.kind)
        const landedAtOnce = fault.kind === "lose" || (fault.kind === "hang" && fault.effect)
        assert.strictEqual(troubled, !landedAtOnce, fault.kind)
        assert.isTrue(world.lines.some((line) => line.event === "arbiter_write_failed"))
      }
    })
  )

  it.effect("is over until renewed when the machine was suspended, and renewed at once", () =>
    Effect.gen(function* () {
      const world = new World()
      const { hold } = yield* begun(world)
      yield* pass(100)
      world.wallShiftMillis += 15_000
      assert.isFalse(hold.mayAcknowledge())
      yield* pass(1_010)
      assert.isTrue(hold.mayAcknowledge())
    })
  )

  it.effect("ends when another process reigns in a higher term", () =>
    Effect.gen(function* () {
      const world = new World()
      const { hold } = yield* begun(world)
      yield* world.write({ ...storeMode, term: 6, primary: other, counter: 41 })
      yield* pass(leaseMillis)
      assert.isFalse(hold.mayAcknowledge())
      assert.match((yield* reasonOf(hold.over))!, /^b\/1 reigns in term 6$/)
      assert.strictEqual((yield* Effect.flip(hold.change(quorumRule)))._tag, "Deposed")
      yield* pass(2 * leaseMillis)
      assert.strictEqual(world.arbiter.term, 6)
    })
  )

  it.effect("is not begun when another process has won meanwhile", () =>
    Effect.gen(function* () {
      const world = new World()
      world.failPuts(1, { kind: "delay", millis: 200 })
      const { hold } = yield* beginTerm(world, storeMode)
      yield* world.write({ ...storeMode, term: 6, primary: other })
      yield* pass(1_000)
      assert.strictEqual((yield* Effect.flip(hold.renewed)).term, 5)
      assert.isFalse(hold.mayAcknowledge())
    })
  )
})

describe("a term in mode quorum", () => {
  it.effect(
    "holds nothing before its first renewal, is renewed every fifth of the timeout, and stops after 0.8 of it",
    () =>
      Effect.gen(function* () {
        const world = new World()
        world.failPuts(1, { kind: "delay", millis: 5 })
        const { hold } = yield* beginTerm(world, quorumMode)
        assert.isFalse(hold.mayAcknowledge())
        yield* pass(10)
        assert.isTrue(hold.mayAcknowledge())
        const putsBefore = world.puts
        yield* pass(timeoutMillis, () => assert.isTrue(hold.mayAcknowledge()))
        assert.isAtLeast(world.puts - putsBefore, 4)
        assert.isAtMost(world.puts - putsBefore, 5)
        const before = world.arbiter.counter
        while (world.arbiter.counter === before) yield* pass(10)
        world.unreachable()
        yield* pass(0.8 * timeoutMillis - 20)
        assert.isTrue(hold.mayAcknowledge())
        yield* pass(20)
        assert.isFalse(hold.mayAcknowledge())
        world.heal()
        yield* pass(1_100)
        assert.isTrue(hold.mayAcknowledge())
      })
  )

  it.effect("never stops without a deregistration timeout, and is renewed every minute", () =>
    Effect.gen(function* () {
      const world = new World()
      const { hold } = yield* beginTerm(world, quorumMode, { NETSY_ELECTOR_DEREGISTRATION_TIMEOUT: "0s" })
      yield* pass(10)
      assert.isUndefined(world.arbiter.timeoutMillis)
      const before = world.arbiter.counter
      yield* pass(60_100)
      assert.strictEqual(world.arbiter.counter, before + 1)
      world.unreachable()
      yield* pass(600_000)
      assert.isTrue(hold.mayAcknowledge())
    })
  )

  it.effect("is over until renewed when the machine was suspended for a good part of the timeout", () =>
    Effect.gen(function* () {
      const world = new World()
      const { hold } = yield* begun(world, quorumMode)
      world.wallShiftMillis += 1_500
      assert.isTrue(hold.mayAcknowledge())
      world.wallShiftMillis += 15_000
      assert.isFalse(hold.mayAcknowledge())
      yield* pass(1_010)
      assert.isTrue(hold.mayAcknowledge())
    })
  )
})

describe("a change of the rule", () => {
  it.effect("holds everything from the call until it has landed, and counts as a renewal", () =>
    Effect.gen(function* () {
      const world = new World()
      const { hold } = yield* begun(world)
      world.failPuts(1, { kind: "delay", millis: 300 })
      const changing = yield* Effect.forkChild(hold.change(quorumRule), { startImmediately: true })
      assert.isFalse(hold.mayAcknowledge())
      yield* pass(290, () => assert.isFalse(hold.mayAcknowledge()))
      yield* pass(20)
      assert.isTrue(hold.mayAcknowledge())
      yield* Fiber.join(changing)
      assert.deepInclude(world.arbiter, quorumRule)
      assert.deepInclude(hold.arbiter(), quorumRule)
      const before = world.puts
      yield* pass(timeoutMillis / 5 - 320)
      assert.strictEqual(world.puts, before)
      world.unreachable()
      yield* pass(leaseMillis * 3)
      assert.isTrue(hold.mayAcknowledge())
    })
  )

  it.effect("to mode store gives a lease from the sending of that CAS", () =>
    Effect.gen(function* () {
      const world = new World()
      const { hold } = yield* begun(world, quorumMode)
      yield* pass(1_000)
      const changing = yield* Effect.forkChild(hold.change(storeRule), { startImmediately: true })
      yield* pass(10)
      yield* Fiber.join(changing)
      assert.deepInclude(world.arbiter, { mode: "store", voters: [], required: 0 })
      world.unreachable()
      yield* pass(leaseMillis - 30)
      assert.isTrue(hold.mayAcknowledge())
      yield* pass(30)
      assert.isFalse(hold.mayAcknowledge())
    })
  )

  it.effect("is written again until it is known to have landed, whatever becomes of the requests", () =>
    Effect.gen(function* () {
      for (const fault of [
        { kind: "fail" },
        { kind: "late", millis: 400 },
        { kind: "late", millis: 5_000 },
        { kind: "hang", effect: true },
        { kind: "hang", effect: false }
      ] as const) {
        const world = new World()
        const { hold, status } = yield* begun(world)
        world.failPuts(3, fault)
        let done = false
        yield* Effect.forkChild(
          Effect.tap(hold.change(quorumRule), () => Effect.sync(() => (done = true))),
          {
            startImmediately: true
          }
        )
        for (let t = 0; !done && t < 60_000; t += 10) {
          assert.isFalse(hold.mayAcknowledge(), fault.kind)
          yield* pass(10)
        }
        assert.isTrue(done, fault.kind)
        assert.isTrue(hold.mayAcknowledge(), fault.kind)
        assert.deepInclude(hold.arbiter(), quorumRule)
        assert.strictEqual(hold.arbiter().counter, world.arbiter.counter)
        assert.strictEqual(status.troubles().length, 0)
        // What lands late afterwards finds another ETag.
        yield* pass(10_000)
        assert.deepInclude(world.arbiter, quorumRule)
        assert.strictEqual(hold.arbiter().counter, world.arbiter.counter)
      }
    })
  )

  it.effect("whose answer was lost is found to have landed", () =>
    Effect.gen(function* () {
      const world = new World()
      const { hold } = yield* begun(world)
      world.failPuts(1, { kind: "lose" })
      const before = world.puts
      const changing = yield* Effect.forkChild(hold.change(quorumRule), { startImmediately: true })
      yield* pass(10)
      yield* Fiber.join(changing)
      assert.strictEqual(world.puts, before + 1)
      assert.isTrue(hold.mayAcknowledge())
    })
  )

  it.effect("that an earlier request of its own has overtaken is written once more before it is closed", () =>
    Effect.gen(function* () {
      const world = new World()
      const { hold } = yield* begun(world)
      const before = hold.arbiter().counter
      // The first request lands when the second one is about to be sent.
      world.failPuts(1, { kind: "late", millis: 45 })
      const changing = yield* Effect.forkChild(hold.change(quorumRule), { startImmediately: true })
      yield* pass(49)
      assert.strictEqual(world.arbiter.counter, before + 1)
      assert.deepInclude(world.arbiter, quorumRule)
      assert.isFalse(hold.mayAcknowledge())
      yield* pass(1_000)
      yield* Fiber.join(changing)
      assert.isAbove(world.arbiter.counter, before + 1)
      assert.isTrue(hold.mayAcknowledge())
    })
  )

  it.effect("waits for a renewal that is under way, which does not close it", () =>
    Effect.gen(function* () {
      const world = new World()
      const { hold } = yield* begun(world)
      const before = world.puts
      world.decide = (call) => (call.operation === "put" ? { kind: "delay", millis: 300 } : undefined)
      while (world.puts === before) yield* pass(10)
      const changing = yield* Effect.forkChild(hold.change(quorumRule), { startImmediately: true })
      yield* pass(310, () => assert.isFalse(hold.mayAcknowledge()))
      assert.strictEqual(world.arbiter.mode, "store")
      yield* pass(310)
      yield* Fiber.join(changing)
      assert.isTrue(hold.mayAcknowledge())
      assert.strictEqual(world.lines.filter((line) => line.event === "arbiter_write_failed").length, 0)
    })
  )

  it.effect("goes before a renewal that cannot be made", () =>
    Effect.gen(function* () {
      const world = new World()
      const { hold } = yield* begun(world)
      world.unreachable()
      yield* pass(leaseMillis)
      const changing = yield* Effect.forkChild(hold.change(quorumRule), { startImmediately: true })
      yield* pass(2_000)
      assert.isTrue(world.lines.some((line) => line.fields["purpose"] === "change"))
      world.heal()
      yield* pass(1_100)
      yield* Fiber.join(changing)
      assert.deepInclude(world.arbiter, quorumRule)
    })
  )

  it.effect("stays open when whoever asked for it has gone away", () =>
    Effect.gen(function* () {
      const world = new World()
      const { hold } = yield* begun(world)
      world.unreachable()
      const changing = yield* Effect.forkChild(hold.change(quorumRule), { startImmediately: true })
      yield* pass(100)
      yield* Fiber.interrupt(changing)
      yield* pass(100)
      assert.isFalse(hold.mayAcknowledge())
      world.heal()
      yield* pass(1_100)
      assert.isTrue(hold.mayAcknowledge())
      assert.deepInclude(hold.arbiter(), quorumRule)
    })
  )

  it.effect("fails when another process has won, or this one is told of a higher term", () =>
    Effect.gen(function* () {
      for (const told of [true, false]) {
        const world = new World()
        const { hold } = yield* begun(world)
        world.failPuts(1, { kind: "delay", millis: 200 })
        const changing = yield* Effect.forkChild(Effect.flip(hold.change(quorumRule)), { startImmediately: true })
        if (told) hold.depose("fenced at term 6")
        else yield* world.write({ ...storeMode, term: 6, primary: other })
        yield* pass(1_000)
        assert.strictEqual((yield* Fiber.join(changing))._tag, "Deposed")
        assert.strictEqual(yield* reasonOf(hold.over), told ? "fenced at term 6" : "b/1 reigns in term 6")
        assert.isFalse(hold.mayAcknowledge())
      }
    })
  )
})

describe("a resignation", () => {
  it.effect("acknowledges nothing from its sending on, and ends the term when it has landed", () =>
    Effect.gen(function* () {
      const world = new World()
      const { hold } = yield* begun(world)
      world.failPuts(1, { kind: "delay", millis: 200 })
      const resigning = yield* Effect.forkChild(hold.resign, { startImmediately: true })
      assert.isFalse(hold.mayAcknowledge())
      assert.isUndefined(yield* reasonOf(hold.over))
      yield* pass(250)
      yield* Fiber.join(resigning)
      assert.isTrue(world.arbiter.resigned)
      assert.strictEqual(yield* reasonOf(hold.over), "this process has resigned")
      assert.isFalse(hold.mayAcknowledge())
      yield* pass(2 * leaseMillis)
      assert.isTrue(world.arbiter.resigned)
    })
  )

  it.effect("says that everything is stored only when it was told so", () =>
    Effect.gen(function* () {
      for (const allStored of [true, false]) {
        const world = new World()
        const { hold } = yield* begun(world)
        yield* allStored ? hold.resignStored : hold.resign
        assert.deepInclude(world.arbiter, { resigned: true, allStored })
      }
    })
  )

  it.effect("does not wait for a renewal or a change that hangs, and wins over it when that lands after all", () =>
    Effect.gen(function* () {
      for (const change of [true, false]) {
        const world = new World()
        const { hold } = yield* begun(world)
        const before = world.puts
        world.failPuts(1, { kind: "hang", effect: true })
        const changing = change
          ? yield* Effect.forkChild(Effect.flip(hold.change(quorumRule)), { startImmediately: true })
          : undefined
        while (world.puts === before) yield* pass(10)
        const resigning = yield* Effect.forkChild(hold.resign, { startImmediately: true })
        yield* pass(200)
        yield* Fiber.join(resigning)
        assert.isTrue(world.arbiter.resigned)
        if (changing !== undefined) assert.strictEqual((yield* Fiber.join(changing))._tag, "Deposed")
      }
    })
  )

  it.effect("gives up after a bounded time and still ends the term", () =>
    Effect.gen(function* () {
      const world = new World()
      const { hold } = yield* begun(world)
      world.decide = () => ({ kind: "hang", effect: false })
      const resigning = yield* Effect.forkChild(hold.resign, { startImmediately: true })
      yield* pass(4_100)
      yield* Fiber.join(resigning)
      assert.strictEqual(yield* reasonOf(hold.over), "this process has resigned")
      assert.isTrue(world.lines.some((l) => l.event === "primary_resigned" && l.fields["known"] === false))
    })
  )
})

describe("several terms of one process", () => {
  it.effect("follow each other; the earlier one holds nothing any more and writes nothing", () =>
    Effect.gen(function* () {
      const world = new World()
      const { hold, reign, leave } = yield* begun(world)
      hold.depose("fenced at term 6")
      yield* leave
      const arbiter = { ...storeMode, term: 7, primary: self, counter: 90 }
      yield* world.write(arbiter)
      const scope = yield* Scope.make()
      const second = yield* reign.begin({ arbiter, etag: world.etag }).pipe(Scope.provide(scope))
      yield* pass(3 * leaseMillis)
      assert.isTrue(second.mayAcknowledge())
      assert.isFalse(hold.mayAcknowledge())
      assert.strictEqual(second.term, 7)
      assert.strictEqual(world.arbiter.term, 7)
      assert.isUndefined(yield* reasonOf(second.over))
    })
  )

  it.effect("end with their scope, a change that waits with them", () =>
    Effect.gen(function* () {
      const world = new World()
      const { hold, leave } = yield* begun(world)
      world.unreachable()
      const changing = yield* Effect.forkChild(Effect.flip(hold.change(quorumRule)), { startImmediately: true })
      yield* leave
      assert.isFalse(hold.mayAcknowledge())
      assert.strictEqual((yield* Fiber.join(changing))._tag, "Deposed")
      const before = world.puts
      yield* pass(2 * leaseMillis)
      assert.strictEqual(world.puts, before)
    })
  )
})
