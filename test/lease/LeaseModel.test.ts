/** Random histories of leases on a whole node, with restarts and lost disks, against a model that is nothing but lists. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { errors } from "../../src/core/wire/errors.ts"
import { compact, everything, makeWorld, MemoryDisk, put, range, startNode } from "../node/world.ts"
import { random } from "../wire/random.ts"
import { attach, grant, keepAlive, list, revoke, running, timeToLive } from "./node.ts"

interface Lease {
  readonly ttlSeconds: number
  deadline: number
}

/** A look every half second, and a bucket of half a second. */
const latestMillis = 1_050

describe("a history of leases", () => {
  for (let seed = 1; seed <= 10; seed++) {
    it.effect(`with seed ${seed} shows each key as long as its lease lives, through restarts and lost disks`, () =>
      Effect.gen(function* () {
        const source = random(seed)
        const world = makeWorld()
        let node = yield* running(startNode(world))
        const now = Effect.clockWith((clock) => Effect.succeed(clock.currentTimeMillisUnsafe()))
        const leases = new Map<bigint, Lease>()
        /** Key to lease; 0n: none. */
        const keys = new Map<string, bigint>()
        let nextId = 1n
        let compacted = 1

        const forget = (id: bigint): void => {
          leases.delete(id)
          for (const [key, lease] of keys) if (lease === id) keys.delete(key)
        }
        /** Time has passed: between its end and the latest moment a lease may be there or not, the node decides. */
        const settle = Effect.gen(function* () {
          const at = yield* now
          const there = new Set(yield* running(node.use(list)))
          for (const [id, { deadline }] of leases) {
            if (at < deadline) assert.isTrue(there.has(id), `lease ${id} lives until ${deadline}, it is ${at}`)
            else if (at > deadline + latestMillis) assert.isFalse(there.has(id), `lease ${id} ended at ${deadline}`)
            if (!there.has(id)) forget(id)
          }
          assert.deepStrictEqual([...there].toSorted(), [...leases.keys()].toSorted())
          const shown = [...keys.keys()].toSorted().map((key) => `${key}=v`)
          assert.strictEqual(yield* running(node.use(everything)), shown.join(" "))
        })

        for (let step = 0; step < 150; step++) {
          const id = [...leases.keys()][source.int(leases.size)]
          const key = `k${source.int(12)}`
          const choice = source.int(20)
          if (choice < 5) {
            const ttl = 2 + source.int(15)
            yield* running(node.use(grant(ttl, nextId)))
            leases.set(nextId++, { ttlSeconds: ttl, deadline: (yield* now) + ttl * 1000 })
          } else if (choice < 9 && id !== undefined) {
            yield* running(node.use(attach(key, id)))
            keys.set(key, id)
          } else if (choice < 10) {
            yield* running(node.use(put(key, "v")))
            keys.set(key, 0n)
          } else if (choice < 13 && id !== undefined) {
            const lease = leases.get(id)!
            if (lease.deadline > (yield* now)) {
              assert.strictEqual(yield* running(node.use(keepAlive(id))), lease.ttlSeconds)
              lease.deadline = (yield* now) + lease.ttlSeconds * 1000
            }
          } else if (choice < 14) {
            if (id !== undefined) {
              yield* running(node.use(revoke(id)))
              forget(id)
            }
            assert.deepStrictEqual(yield* Effect.flip(running(node.use(revoke(10_000n)))), errors.leaseNotFound)
          } else if (choice < 15 && source.chance(50)) {
            const { header } = yield* running(node.use(range()))
            if (header!.revision > compacted) {
              compacted = header!.revision
              yield* running(node.use(compact(compacted)))
            }
          } else if (choice < 16 && source.chance(50)) {
            yield* running(source.chance(50) ? node.stop : node.kill)
            if (source.chance(50)) world.disk = new MemoryDisk()
            yield* TestClock.adjust(source.int(20_000))
            node = yield* running(startNode(world))
            for (const lease of leases.values()) lease.deadline = (yield* now) + lease.ttlSeconds * 1000
          } else yield* TestClock.adjust(source.int(4_000))
          yield* settle
          if (id === undefined || !leases.has(id)) continue
          const { grantedTtl, keys: attached, ttl } = yield* running(node.use(timeToLive(id)))
          const { deadline, ttlSeconds } = leases.get(id)!
          assert.strictEqual(grantedTtl, ttlSeconds)
          assert.isAtMost(Math.abs(ttl - (deadline - (yield* now)) / 1000), 1)
          assert.deepStrictEqual(
            attached.map((bytes) => Buffer.from(bytes).toString()),
            [...keys]
              .filter(([, lease]) => lease === id)
              .map(([name]) => name)
              .toSorted()
          )
        }
        yield* TestClock.adjust(20_000)
        yield* settle
        assert.strictEqual(leases.size, 0)
        yield* running(node.stop)
      })
    )
  }
})
