/** The order and the bounds of one stream of keep-alives, over leases and a right to answer that the test controls. */
import { assert, describe, it } from "vitest"
import type { LeaseKeepAliveResponse } from "../../src/core/wire/codec/lease.ts"
import { type EtcdError, errors } from "../../src/core/wire/errors.ts"
import { KeepAlives, type Renewal } from "../../src/layers/leases/KeepAlives.ts"
import type { Waiter } from "../../src/services/Replicator.ts"

const answer = (id: bigint): LeaseKeepAliveResponse => ({ header: undefined, id, ttl: 5 })

const make = (options: { readonly atOnce?: boolean } = {}) => {
  const waiters: Array<Waiter> = []
  const sent: Array<bigint> = []
  const ends: Array<EtcdError | undefined> = []
  const leaving = new Map<bigint, () => void>()
  const expired = new Set<bigint>()
  const state = { room: Number.MAX_SAFE_INTEGER, refused: undefined as EtcdError | undefined }
  const stream = new KeepAlives(
    {
      whenReadable: (waiter) => (options.atOnce === true ? waiter.done() : waiters.push(waiter)),
      renew: (id, gone): Renewal => {
        if (state.refused !== undefined) return state.refused
        if (!expired.has(id)) return answer(id)
        leaving.set(id, gone)
        return "leaving"
      },
      forget: (id) => leaving.delete(id)
    },
    {
      send: ({ id }) => {
        sent.push(id)
        return --state.room > 0
      },
      ended: (error) => ends.push(error)
    }
  )
  return { stream, waiters, sent, ends, leaving, expired, state }
}

describe("a stream of keep-alives", () => {
  it("is answered in order, whenever the right to answer comes", () => {
    const { sent, stream, waiters } = make()
    for (const id of [1n, 2n]) stream.renew(id)
    assert.strictEqual(waiters.length, 1)
    stream.renew(3n)
    // Asked before the second arrived: only the first may be answered.
    waiters[0]!.done()
    assert.deepStrictEqual(sent, [1n])
    assert.strictEqual(waiters.length, 2)
    stream.renew(4n)
    waiters[1]!.done()
    assert.deepStrictEqual(sent, [1n, 2n, 3n])
    waiters[2]!.done()
    assert.deepStrictEqual(sent, [1n, 2n, 3n, 4n])
    assert.strictEqual(waiters.length, 3)
  })

  it("stops while its receiver is full and goes on where it stopped", () => {
    const { sent, state, stream } = make({ atOnce: true })
    state.room = 2
    for (let id = 1n; id <= 5n; id++) stream.renew(id)
    assert.deepStrictEqual(sent, [1n, 2n])
    state.room = 2
    stream.drained()
    assert.deepStrictEqual(sent, [1n, 2n, 3n, 4n])
    state.room = 9
    stream.drained()
    stream.drained()
    assert.deepStrictEqual(sent, [1n, 2n, 3n, 4n, 5n])
  })

  it("takes no more than 4096 requests that wait", () => {
    const { sent, stream, waiters } = make()
    for (let i = 0; i < 4_096; i++) assert.isTrue(stream.renew(BigInt(i)))
    assert.isFalse(stream.renew(5_000n))
    waiters[0]!.done()
    assert.isTrue(stream.renew(6_000n))
    while (sent.length < 4_097) waiters.at(-1)!.done()
    assert.deepStrictEqual([sent[0], sent[4_095], sent[4_096]], [0n, 4_095n, 6_000n])
  })

  it("ends after the last answer, when the client has nothing more to ask", () => {
    const { ends, sent, stream, waiters } = make()
    stream.renew(1n)
    stream.end(undefined)
    assert.deepStrictEqual(ends, [])
    waiters[0]!.done()
    assert.deepStrictEqual([sent, ends], [[1n], [undefined]])
  })

  it("waits for a lease that has run out, asks for its right again, and answers the rest", () => {
    const { ends, expired, leaving, sent, stream, waiters } = make()
    expired.add(1n)
    stream.renew(1n)
    stream.renew(2n)
    waiters[0]!.done()
    assert.deepStrictEqual(sent, [])
    stream.end(errors.leaderChanged)
    expired.delete(1n)
    leaving.get(1n)!()
    waiters[1]!.done()
    assert.deepStrictEqual([sent, ends], [[1n, 2n], [errors.leaderChanged]])
  })

  it("ends with the error of a read that failed, and of a refusal, once", () => {
    for (const refused of [undefined, errors.corrupt]) {
      const { ends, sent, state, stream, waiters } = make()
      state.refused = refused
      stream.renew(1n)
      stream.renew(2n)
      if (refused === undefined) waiters[0]!.failed(errors.requestTimedOut)
      else waiters[0]!.done()
      stream.renew(3n)
      stream.end(undefined)
      assert.deepStrictEqual([sent, ends], [[], [refused ?? errors.requestTimedOut]])
      assert.strictEqual(waiters.length, 1)
    }
  })

  it("a closed stream sends nothing and waits for nothing", () => {
    const { ends, expired, leaving, sent, stream, waiters } = make()
    expired.add(1n)
    stream.renew(1n)
    waiters[0]!.done()
    assert.strictEqual(leaving.size, 1)
    stream.close()
    assert.strictEqual(leaving.size, 0)
    assert.isTrue(stream.renew(2n))
    stream.drained()
    stream.end(undefined)
    assert.deepStrictEqual([sent, ends, waiters.length], [[], [], 1])
  })
})
