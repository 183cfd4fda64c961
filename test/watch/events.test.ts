import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { eventBytes, fragmentsOf, responseOf } from "../../src/core/watch/events.ts"
import { type Event, EventType } from "../../src/core/wire/messages.ts"
import { bytes } from "./world.ts"

const header = { clusterId: 1n, memberId: 2n, revision: 3, raftTerm: 4 }

const eventOfSize = (valueBytes: number): Event => ({
  type: EventType.Put,
  kv: {
    key: bytes("k"),
    createRevision: 1,
    modRevision: 2,
    version: 1,
    value: new Uint8Array(valueBytes),
    lease: 0n
  },
  prevKv: undefined
})

describe("W9: the split of big responses", () => {
  const Sizes = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3000 })))
  it.prop(
    "keeps every event in order, below the limit unless a piece has one event, marks all but the last",
    [Sizes],
    ([sizes]) => {
      const events = sizes.map(eventOfSize)
      const pieces = fragmentsOf(responseOf(header, 5n, { events }), 4096)
      assert.deepStrictEqual(
        pieces.flatMap((piece) => piece.events),
        events
      )
      for (const [i, piece] of pieces.entries()) {
        assert.strictEqual(piece.fragment, i < pieces.length - 1)
        assert.strictEqual(piece.watchId, 5n)
        const size = piece.events.reduce((sum, event) => sum + eventBytes(event), 0)
        assert.isTrue(piece.events.length <= 1 || size < 4096)
      }
    },
    { arbitrary: { runs: 200, seed: "fragments" } }
  )
})
