/**
 * A replica through reigns of rising terms whose logs conflict, with lost streams, repeated and stale sends, fences and
 * crashes in between. Checked at every step: receipts are for what is on the disk, what is shown is committed (I3), and
 * nothing that was committed here is dropped; at the end the log is the last Primary's.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import type { ReplicaMessage } from "../../src/core/wire/peer/messages.ts"
import { encodeFenceRequest } from "../../src/core/wire/peer/codecs.ts"
import type { FollowEnd } from "../../src/layers/replicator/replica.ts"
import { seeded } from "../datafile/support.ts"
import { appendOf, boot, type Line, type Node, pass, positionIn, primaryInfo, settle, World } from "./replicaWorld.ts"

/** A Primary that finds where the logs meet and sends what follows, in pieces of any size, some of them again. */
class Reign {
  readonly term: number
  log: Array<number>
  commitIndex: number
  #next: number | undefined
  readonly #below: (bound: number) => number

  constructor(term: number, log: ReadonlyArray<number>, commitIndex: number, below: (bound: number) => number) {
    this.term = term
    this.log = [...log, term]
    this.commitIndex = commitIndex
    this.#below = below
  }

  /** A stream begins anew. */
  forget(): void {
    this.#next = undefined
  }

  answer(line: Line, message: ReplicaMessage): void {
    if (message.kind === "hello") this.#ask(line, message.last.index)
    else if (message.kind === "mismatch" && message.term === this.term) this.#ask(line, message.at.index)
    else if (message.kind === "receipt" && message.term === this.term) this.#next ??= message.match + 1
  }

  #ask(line: Line, index: number): void {
    const prev = Math.min(index, this.log.length)
    line.send(appendOf(this.log, prev, prev, { term: this.term, commitIndex: this.commitIndex }))
  }

  /** Sends some of what follows, and now and then something that was sent before. */
  send(line: Line): void {
    const next = this.#next
    if (next === undefined) return
    const { commitIndex, log, term } = this
    const to = Math.min(log.length, next - 1 + this.#below(4))
    line.send(appendOf(log, next - 1, to, { term, commitIndex }))
    this.#next = to + 1
    if (this.#below(3) > 0) return
    const prev = this.#below(to + 1)
    const end = prev + this.#below(to - prev + 1)
    line.send(appendOf(log, prev, end, { term, commitIndex: this.#below(commitIndex + 1) }))
  }
}

const life = (seed: number) =>
  Effect.gen(function* () {
    const below = seeded(seed)
    const world = new World()
    /** What is committed in the cluster, as terms; the replica may be behind. */
    let committed: Array<number> = []
    const logs: Array<ReadonlyArray<number>> = [[]]
    /** Fenced at this term: no receipt and no confirmation of a lower one may leave. */
    let fencedAt = 0
    world.onMessage = (message) => {
      if (message.kind !== "receipt" && message.kind !== "confirm") return
      assert.isAtLeast(message.term, fencedAt, `seed ${seed}: a ${message.kind} of term ${message.term}`)
      if (message.kind === "confirm") return
      const { fenced, terms } = world.durable()
      assert.isAtLeast(fenced, message.term, `seed ${seed}: the promise is not on the disk`)
      assert.deepStrictEqual(
        terms.slice(0, message.match),
        reign.log.slice(0, message.match),
        `seed ${seed}: the receipt for ${message.match} in term ${message.term} says more than the disk holds`
      )
    }
    let node: Node = yield* boot(world)
    let fiber: Fiber.Fiber<FollowEnd, unknown> | undefined
    let reign = new Reign(1, [], 0, below)

    const check = () => {
      const { shown } = node
      const where = `seed ${seed}, term ${reign.term}`
      assert.isAtMost(shown.index, committed.length, where)
      assert.isAtLeast(node.log.last.index, shown.index, where)
      for (const [i, position] of shown.positions.entries()) {
        assert.deepStrictEqual(position, positionIn(committed, shown.base + i + 1), where)
      }
    }
    const follow = Effect.gen(function* () {
      fiber = yield* Effect.forkScoped(node.replica.follow(primaryInfo, reign.term), { startImmediately: true })
    })
    const talk = Effect.gen(function* () {
      const { line } = world
      if (line === undefined || line.over) return
      for (const message of line.take()) {
        if (message.kind === "hello") reign.forget()
        reign.answer(line, message)
      }
      reign.send(line)
      if (below(4) === 0) line.send({ kind: "round", term: reign.term, round: below(100) })
    })
    const restart = Effect.gen(function* () {
      const { shown } = node
      const before = shown.index
      world.disk.crash(below(3) === 0 ? below(world.disk.unsyncedCount + 1) : 0)
      yield* Fiber.interrupt(fiber!)
      yield* node.stop
      const kept = world.durable().terms
      node = yield* boot(world)
      // What this node has said to have, or shown, is there again.
      assert.deepStrictEqual(kept.slice(0, before), committed.slice(0, before), `seed ${seed}: lost what was shown`)
    })
    /** A higher term: some log that holds everything that is committed. */
    const elect = (term: number) => {
      const able = logs.filter((log) => committed.every((t, i) => log[i] === t))
      reign = new Reign(term, able[below(able.length)] ?? committed, committed.length, below)
      logs.push(reign.log)
      world.elect({ term })
    }

    elect(1)
    yield* follow
    for (let term = 1; term <= 6;) {
      const choice = below(40)
      if (choice < 20) yield* talk
      else if (choice < 26) reign.log.push(term)
      else if (choice < 29) {
        // Others have it too, or this node.
        if (reign.log.at(-1) === term && below(2) === 0) committed = reign.log.slice()
        reign.commitIndex = committed.length
      } else if (choice < 31) world.disk.holdSyncs()
      else if (choice < 34) world.disk.releaseSyncs()
      else if (choice < 35) world.line?.close()
      else if (choice < 36) yield* pass(500)
      else if (choice < 37) {
        yield* restart
        yield* follow
      } else if (choice < 38) {
        const target = reign.term + 1
        node.replica.fence(encodeFenceRequest({ term: target }), "elector", {
          succeed: () => {
            fencedAt = Math.max(fencedAt, target)
          },
          fail: () => {},
          onCancelled: () => {}
        })
      } else {
        term++
        if (term > 6) break
        elect(term)
        if (below(3) > 0) {
          world.disk.releaseSyncs()
          yield* pass(2_000)
          assert.isDefined(fiber!.pollUnsafe(), `seed ${seed}: it goes on in a term that is over`)
        } else yield* restart
        yield* follow
      }
      if (below(3) > 0) yield* settle
      check()
    }

    // The last Primary reigns undisturbed, above whatever was promised.
    world.disk.releaseSyncs()
    elect(9)
    yield* pass(2_000)
    yield* follow
    for (let i = 0; i < 200 && (node.shown.index < reign.log.length || i < 20); i++) {
      yield* talk
      yield* settle
      if (i === 10) {
        committed = reign.log.slice()
        reign.commitIndex = committed.length
      }
      if (i % 20 === 0) yield* pass(500)
      check()
    }
    assert.strictEqual(node.shown.index, reign.log.length, `seed ${seed}`)
    assert.deepStrictEqual(world.durable().terms, reign.log, `seed ${seed}`)
    assert.strictEqual(node.log.commitIndex, reign.log.length)
    assert.isUndefined(fiber!.pollUnsafe(), `seed ${seed}`)
    yield* node.stop
    return { truncations: world.events("log_truncated").length }
  })

describe("following through reigns of rising terms", () => {
  it.effect(
    "says only what is on the disk, shows only what is committed, and ends with the last Primary's log",
    () =>
      Effect.gen(function* () {
        let truncations = 0
        for (let seed = 1; seed <= 80; seed++) truncations += (yield* Effect.scoped(life(seed))).truncations
        // The walks go where it is hard.
        assert.isAbove(truncations, 20)
      }),
    120_000
  )
})
