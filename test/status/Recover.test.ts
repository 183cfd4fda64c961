import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Arbiter, arbiterKey, encodeArbiter } from "../../src/core/election/arbiter.ts"
import { planFence } from "../../src/core/election/election.ts"
import { encodeLock, lockKey } from "../../src/core/election/lock.ts"
import { decodeRecoverOrder, encodeRecoverOrder, recoverOrderKey } from "../../src/core/election/recoverOrder.ts"
import { isoTime } from "../../src/core/isoTime.ts"
import * as ObjectStoreMemory from "../../src/layers/ObjectStoreMemory.ts"
import { MemoryBucket } from "../../src/layers/ObjectStoreMemory.ts"
import { recoverNode } from "../../src/programs/recover.ts"
import { arbiterOf, nameOf } from "../cluster-view/states.ts"

const bucketWith = (arbiter: Arbiter | undefined, nodes: ReadonlyArray<string>): MemoryBucket => {
  const bucket = new MemoryBucket()
  if (arbiter !== undefined) bucket.put(arbiterKey, encodeArbiter(arbiter), undefined, 0)
  for (const node of nodes) {
    const text = JSON.stringify({ node_id: node, incarnation: `${node}-disk`, starts: 1 })
    bucket.put(`nodes/${node}.json`, Buffer.from(text), undefined, 0)
  }
  return bucket
}

const recover = (bucket: MemoryBucket, nodeId: string, yes: boolean) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const output = { out: (line: string) => lines.push(line), error: (line: string) => lines.push(line) }
    const code = yield* recoverNode(nodeId, yes, output).pipe(Effect.provide(ObjectStoreMemory.layer({ bucket })))
    return { code, text: lines.join("\n") }
  })

const order = (bucket: MemoryBucket): number | undefined => {
  const object = bucket.get(recoverOrderKey)
  return object === undefined ? undefined : decodeRecoverOrder(object.body)
}

const quorum = arbiterOf({ term: 9, mode: "quorum", voters: ["a", "b", "c"].map(nameOf), required: 1 })

describe("netsy recover", () => {
  it.effect("says what would happen and changes nothing without --yes", () =>
    Effect.gen(function* () {
      const bucket = bucketWith(quorum, ["a", "b", "c"])
      const { code, text } = yield* recover(bucket, "a", false)
      assert.strictEqual(code, 2)
      assert.include(text, "one of the voters of term 9 (a, b, c). An election needs 2 of 3")
      assert.include(text, "It is the Primary.")
      assert.include(text, "--yes")
      assert.isDefined(bucket.get("nodes/a.json"))
      assert.isUndefined(order(bucket))
    })
  )

  it.effect("deregisters a voter and orders the recovery of that term", () =>
    Effect.gen(function* () {
      const bucket = bucketWith(quorum, ["a", "b", "c"])
      assert.strictEqual((yield* recover(bucket, "a", true)).code, 0)
      assert.isUndefined(bucket.get("nodes/a.json"))
      assert.isDefined(bucket.get("nodes/b.json"))
      assert.strictEqual(order(bucket), 9)
      // A second time, for the machine that nobody deregistered by hand.
      const again = yield* recover(bucket, "a", true)
      assert.strictEqual(again.code, 0)
      assert.include(again.text, "deregistered already")
    })
  )

  it.effect("loses nothing in mode store, and says so", () =>
    Effect.gen(function* () {
      const bucket = bucketWith(arbiterOf(), ["a", "b"])
      const { code, text } = yield* recover(bucket, "b", true)
      assert.strictEqual(code, 0)
      assert.include(text, "nothing is lost")
      assert.isUndefined(bucket.get("nodes/b.json"))
      assert.isUndefined(order(bucket))
    })
  )

  it.effect("warns of a node that does not look dead", () =>
    Effect.gen(function* () {
      const bucket = bucketWith(quorum, ["a", "b", "c"])
      // The virtual clock stands at 0.
      bucket.put(lockKey, encodeLock({ leaderId: "a", leaderAddr: "a:8443" }, isoTime(1)), undefined, 0)
      assert.include((yield* recover(bucket, "a", false)).text, "It does not look dead")
      assert.notInclude((yield* recover(bucket, "b", false)).text, "It does not look dead")
    })
  )

  it.effect("knows no node of a misspelt name, and touches no bucket that it cannot read", () =>
    Effect.gen(function* () {
      const { code, text } = yield* recover(bucketWith(quorum, ["a", "b", "c"]), "nod-a", true)
      assert.strictEqual(code, 1)
      assert.include(text, "registered are: a, b, c")
      const bucket = bucketWith(undefined, ["a"])
      bucket.put(arbiterKey, Buffer.from("{"), undefined, 0)
      assert.include((yield* recover(bucket, "a", true)).text, "leader/primary.json: not JSON")
      assert.isDefined(bucket.get("nodes/a.json"))
    })
  )
})

describe("an order to recover", () => {
  it("is about one term, and anything else is none", () => {
    assert.strictEqual(decodeRecoverOrder(encodeRecoverOrder({ term: 12, nodeId: "a" })), 12)
    for (const text of ["", "{", "null", "{}", '{"term":"1"}', '{"term":0}', '{"term":1.5}']) {
      assert.isUndefined(decodeRecoverOrder(Buffer.from(text)), text)
    }
  })

  it("lets a recovery go on without its time, and never past a voter that is not gone", () => {
    const round = { arbiter: quorum, seenAtMillis: 0, nowMillis: 0 }
    const [a, b, c] = quorum.voters
    const none = new Set<string>()
    assert.strictEqual(planFence({ ...round, gone: [a!, b!] }, [c!], none).kind, "wait", "never by itself")
    assert.deepStrictEqual(planFence({ ...round, gone: [a!, b!], ordered: true }, [c!], none), {
      kind: "fence",
      nodes: [c!]
    })
    assert.strictEqual(planFence({ ...round, gone: [a!], ordered: true }, [c!], none).kind, "wait", "b may come back")
    assert.strictEqual(planFence({ ...round, gone: [a!, b!], ordered: true }, [], none).kind, "wait", "c may come back")
  })
})
