import { assert, describe, it } from "@effect/vitest"
import { Deadlines } from "../../src/core/lease/Deadlines.ts"
import { random } from "../wire/random.ts"

const everything = Number.MAX_SAFE_INTEGER

/** Ids that are found to have run out at the moment. */
const runOut = (deadlines: Deadlines, now: number): ReadonlyArray<bigint> => {
  deadlines.look(now, everything)
  return deadlines.take(everything).map(({ id }) => id)
}

/** What `Deadlines` is: a list of times. */
interface Plain {
  readonly ttlSeconds: number
  deadline: number
  /** It was put back until then. */
  notBefore: number
}

describe("Deadlines", () => {
  for (let seed = 1; seed <= 20; seed++) {
    it(`finds every lease when its time is over, never before, in random history ${seed}`, () => {
      const source = random(seed)
      let now = source.int(100_000)
      const deadlines = new Deadlines(now)
      const model = new Map<bigint, Plain>()
      const any = (): readonly [bigint, Plain] | undefined => [...model][source.int(model.size)]
      let nextId = 1n
      for (let step = 0; step < 600; step++) {
        const choice = source.int(10)
        if (choice < 3) {
          const ttlSeconds = 1 + source.int(20)
          const deadline = now + ttlSeconds * 1000
          deadlines.add(nextId, ttlSeconds, deadline)
          model.set(nextId++, { ttlSeconds, deadline, notBefore: 0 })
        } else if (choice < 5) {
          const [id, plain] = any() ?? []
          if (plain === undefined || plain.deadline <= now) continue
          deadlines.renew(deadlines.get(id!)!, now)
          plain.deadline = now + plain.ttlSeconds * 1000
        } else if (choice < 6) {
          const [id] = any() ?? []
          if (id === undefined) continue
          deadlines.remove(id)
          model.delete(id)
        } else if (choice < 7 && source.int(10) === 0) {
          const millis = source.int(5_000)
          deadlines.extend(millis, now)
          for (const plain of model.values()) {
            plain.deadline = Math.min(plain.deadline + millis, now + plain.ttlSeconds * 1000)
          }
        } else now += source.int(1_500)

        // A small number of visits at a time finds the same.
        while (!deadlines.look(now, 1 + source.int(5)));
        const taken = deadlines.take(everything)
        for (const lease of taken) {
          const plain = model.get(lease.id)
          assert.ok(
            plain !== undefined && plain.deadline <= now && plain.notBefore <= now,
            `lease ${lease.id} at ${now}`
          )
          assert.strictEqual(lease.deadlineMillis, plain.deadline)
          if (source.int(2) === 0) {
            deadlines.remove(lease.id)
            model.delete(lease.id)
          } else {
            const at = now + 3_000
            deadlines.putBack(lease, at)
            plain.notBefore = at
          }
        }
        for (const [id, plain] of model) {
          assert.isAbove(Math.max(plain.deadline, plain.notBefore) + 500, now, `lease ${id} was not found`)
          assert.strictEqual(deadlines.get(id)?.deadlineMillis, plain.deadline)
        }
        assert.strictEqual(deadlines.size, model.size)
      }
      const order = deadlines.byExpiry().map((id) => model.get(id)!.deadline)
      assert.deepStrictEqual(
        order,
        order.toSorted((a, b) => a - b)
      )
      assert.strictEqual(order.length, model.size)
    })
  }

  it("finds a lease within half a second of its end, from any start", () => {
    for (let offset = 0; offset < 1_000; offset += 37) {
      const deadlines = new Deadlines(offset)
      deadlines.add(1n, 2, offset + 2_000)
      assert.deepStrictEqual(runOut(deadlines, offset + 1_999), [])
      assert.deepStrictEqual(runOut(deadlines, offset + 2_500), [1n])
    }
  })

  it("serves those first that ran out first, and no more than are asked for", () => {
    const deadlines = new Deadlines(0)
    for (let i = 1; i <= 10; i++) deadlines.add(BigInt(i), 2, i * 1000)
    deadlines.look(20_000, everything)
    assert.deepStrictEqual(
      deadlines.take(3).map(({ id }) => id),
      [1n, 2n, 3n]
    )
    assert.deepStrictEqual(
      deadlines.take(100).map(({ id }) => id),
      [4n, 5n, 6n, 7n, 8n, 9n, 10n]
    )
    assert.deepStrictEqual(deadlines.take(100), [])
  })

  it("gives more time to a lease that was found but not taken", () => {
    const deadlines = new Deadlines(0)
    deadlines.add(1n, 2, 2_000)
    deadlines.look(3_000, everything)
    deadlines.extend(5_000, 3_000)
    // The full time from then on, and no more.
    assert.deepStrictEqual(runOut(deadlines, 4_999), [])
    assert.deepStrictEqual(runOut(deadlines, 5_500), [1n])
  })

  it("refuses to renew what has run out", () => {
    const deadlines = new Deadlines(0)
    deadlines.add(1n, 2, 2_000)
    assert.throws(() => deadlines.renew(deadlines.get(1n)!, 2_000), /run out/)
  })

  it("a hundred thousand leases of the same length are looked through in slices when all were renewed", () => {
    const deadlines = new Deadlines(0)
    for (let i = 1; i <= 100_000; i++) deadlines.add(BigInt(i), 10, 10_000)
    for (let i = 1; i <= 100_000; i++) deadlines.renew(deadlines.get(BigInt(i))!, 5_000)
    let slices = 1
    while (!deadlines.look(10_000, 4_096)) slices++
    assert.strictEqual(slices, Math.ceil(100_001 / 4_096))
    assert.deepStrictEqual(deadlines.take(1), [])
    deadlines.look(15_000, everything)
    assert.strictEqual(deadlines.take(everything).length, 100_000)
  })
})
