import { assert, describe, it } from "@effect/vitest"
import { isLinearizable } from "./bruteForce.ts"
import type { Answer, History, Kv, Request, WatchResponse } from "./history.ts"
import { checkOrder } from "./order.ts"
import { Recorder } from "./Recorder.ts"
import { faults, randomOf, simulate } from "./simulate.ts"
import { spoil } from "./spoil.ts"
import { complaint } from "./verdict.ts"

const put = (key: string, value: string): Request => ({ kind: "put", key, value })
const get = (key: string, serializable = false): Request => ({ kind: "get", key, serializable })
const written = (revision: number): Answer => ({ revision, result: { kind: "put" } })
const shown = (revision: number, ...kvs: ReadonlyArray<Kv>): Answer => ({
  revision,
  result: { kind: "get", kvs, count: kvs.length }
})
const kv = (key: string, value: string, mod: number, version = 1, create = mod): Kv => ({
  key,
  value,
  mod,
  version,
  create
})
/** One operation after another. */
const oneByOne = (...calls: ReadonlyArray<readonly [Request, Answer]>): Recorder => {
  const recorder = new Recorder()
  for (const [request, answer] of calls) recorder.begin("c", request).ok(answer)
  return recorder
}
const complaintOf = (recorder: Recorder): string => complaint(checkOrder(recorder.history()))

describe("a history by hand", () => {
  it("passes when every operation saw those before it", () => {
    const history = oneByOne(
      [put("a", "1"), written(2)],
      [get("a"), shown(2, kv("a", "1", 2))],
      [put("a", "2"), written(3)],
      [get("a"), shown(3, kv("a", "2", 3, 2, 2))],
      [get("a", true), shown(2, kv("a", "1", 2))],
      [{ kind: "get", key: "a", revision: 2 }, shown(3, kv("a", "1", 2))],
      [
        { kind: "delete", key: "a", end: "\0" },
        { revision: 4, result: { kind: "delete", deleted: 1 } }
      ],
      [get("a"), shown(4)],
      [
        { kind: "delete", key: "a" },
        { revision: 4, result: { kind: "delete", deleted: 0 } }
      ]
    )
    assert.strictEqual(complaintOf(history), "")
  })

  it("with a stale read names the write that it missed, and nothing else", () => {
    const history = oneByOne(
      [put("b", "0"), written(2)],
      [put("a", "1"), written(3)],
      [put("a", "2"), written(4)],
      [get("a"), shown(3, kv("a", "1", 3))]
    )
    assert.strictEqual(
      complaintOf(history),
      [
        "#3 showed revision 3, but #2 had seen 4 before it began",
        "operation  client  from  to  request  answer",
        "#2         c       4     5   put a=2  4: ok",
        "#3         c       6     7   get a    3: a=1@3"
      ].join("\n")
    )
  })

  it("lets an overlapping read show either state", () => {
    for (const answer of [shown(1), shown(2, kv("a", "1", 2))]) {
      const recorder = new Recorder()
      const write = recorder.begin("w", put("a", "1"))
      const read = recorder.begin("r", get("a"))
      read.ok(answer)
      write.ok(written(2))
      assert.strictEqual(complaintOf(recorder), "")
    }
  })

  it("with two reads that saw a write come and go is wrong", () => {
    const recorder = new Recorder()
    const write = recorder.begin("w", put("a", "1"))
    recorder.begin("r", get("a")).ok(shown(2, kv("a", "1", 2)))
    recorder.begin("r", get("a")).ok(shown(1))
    write.unknown("timed out")
    assert.include(complaintOf(recorder), "#2 showed revision 1, but #1 had seen 2 before it began")
  })

  it("with a read that is right by its header and wrong by its content is wrong", () => {
    const history = oneByOne(
      [put("a", "1"), written(2)],
      [put("a", "2"), written(3)],
      [get("a"), shown(3, kv("a", "1", 2))]
    )
    assert.include(complaintOf(history), "#2 saw a at revision 3 as it was at 2")
  })

  it("with a lost write is wrong: its revision belongs to another one", () => {
    const history = oneByOne([put("a", "1"), written(2)], [put("b", "1"), written(2)])
    assert.include(complaintOf(history), "but #0 had seen 2 before it began")
    const recorder = new Recorder()
    const first = recorder.begin("c", put("a", "1"))
    const second = recorder.begin("d", put("b", "1"))
    first.ok(written(2))
    second.ok(written(2))
    assert.include(complaintOf(recorder), "#0 and #1 both wrote revision 2")
  })

  it("gives a write of unknown outcome the revision that it was seen at, once", () => {
    const recorder = new Recorder()
    recorder.begin("u", put("a", "1")).unknown("timed out")
    recorder.begin("c", put("b", "1")).ok(written(2))
    recorder.begin("c", get("a")).ok(shown(3, kv("a", "1", 3)))
    assert.strictEqual(complaintOf(recorder), "")
    recorder.begin("c", get("a")).ok(shown(4, kv("a", "1", 4, 2, 3)))
    assert.include(complaintOf(recorder), "nobody can have written revision 4, where #3 saw a=1")
  })

  it("does not let a write take effect before it began, or when it was refused", () => {
    const late = oneByOne([get("a"), shown(2, kv("a", "1", 2))])
    late.begin("u", put("a", "1")).unknown("timed out")
    assert.include(complaintOf(late), "nobody can have written revision 2, where #0 saw a=1")
    const refused = new Recorder()
    refused.begin("u", put("a", "1")).failed("no space")
    refused.begin("c", get("a")).ok(shown(2, kv("a", "1", 2)))
    assert.include(complaintOf(refused), "failed: no space")
  })

  it("finds the one way in which unknown outcomes fit, though others look right for long", () => {
    // Which of a=1 and a=2 is revision 2 shows only at revision 4.
    const recorder = new Recorder()
    for (const value of ["1", "2", "3"]) recorder.begin(value, put("a", value)).unknown("timed out")
    const compare = (value: string): Request => ({
      kind: "txn",
      compares: [{ key: "a", target: "value", is: "=", than: value }],
      success: [put("b", "yes")],
      failure: []
    })
    const yes = (revision: number): Answer => ({
      revision,
      result: { kind: "txn", succeeded: true, results: [{ kind: "put" }] }
    })
    recorder.begin("c", compare("2")).ok(yes(3))
    recorder.begin("c", compare("1")).ok(yes(5))
    const verdict = checkOrder(recorder.history())
    assert.deepStrictEqual(
      verdict.kind === "ok" ? verdict.order.map(({ by }) => by.id) : complaint(verdict),
      [1, 3, 0, 4]
    )
    recorder.begin("c", get("b")).ok(shown(5, kv("b", "yes", 5, 3, 3)))
    assert.include(complaintOf(recorder), "#5 saw b=yes")
  })

  it("with a transaction whose puts are seen one without the other is wrong", () => {
    const both: Request = { kind: "txn", compares: [], success: [put("a", "1"), put("b", "1")], failure: [] }
    const recorder = new Recorder()
    recorder.begin("u", both).unknown("timed out")
    recorder.begin("c", { kind: "get", key: "\0", end: "\0" }).ok(shown(2, kv("a", "1", 2)))
    assert.include(complaintOf(recorder), "#1 showed at revision 2: a=1@2; it was: a=1@2 b=1@2")
  })

  it("decides the compares of inner transactions by the state before all of it", () => {
    const absent = (key: string) => ({ key, target: "version", is: "=", than: 0 }) as const
    const inner: Request = { kind: "txn", compares: [absent("a")], success: [put("b", "1")], failure: [put("c", "1")] }
    const outer: Request = { kind: "txn", compares: [absent("a")], success: [put("a", "1"), inner], failure: [] }
    const answer: Answer = {
      revision: 2,
      result: {
        kind: "txn",
        succeeded: true,
        results: [{ kind: "put" }, { kind: "txn", succeeded: true, results: [{ kind: "put" }] }]
      }
    }
    const all: Request = { kind: "get", key: "\0", end: "\0" }
    assert.strictEqual(complaintOf(oneByOne([outer, answer], [all, shown(2, kv("a", "1", 2), kv("b", "1", 2))])), "")
  })
})

describe("a watch in a history", () => {
  const history = (...responses: ReadonlyArray<Omit<WatchResponse, "at">>): string => {
    const recorder = oneByOne(
      [put("a", "1"), written(2)],
      [put("b", "1"), written(3)],
      [
        { kind: "txn", compares: [], success: [put("a", "2"), put("b", "2")], failure: [] },
        { revision: 4, result: { kind: "txn", succeeded: true, results: [{ kind: "put" }, { kind: "put" }] } }
      ]
    )
    const watch = recorder.watch("w", { key: "\0", end: "\0" }, 2)
    for (const response of responses) watch.response(response)
    return complaintOf(recorder)
  }
  const event = (kv: Kv) => ({ kind: "put", key: kv.key, revision: kv.mod, kv }) as const
  const a1 = event(kv("a", "1", 2))
  const b1 = event(kv("b", "1", 3))
  const a2 = event(kv("a", "2", 4, 2, 2))
  const b2 = event(kv("b", "2", 4, 2, 3))
  const response = (revision: number, ...events: ReadonlyArray<ReturnType<typeof event>>) => ({
    revision,
    events,
    fragment: false
  })

  it("passes when it brings every revision once, whole and in order", () => {
    assert.strictEqual(history(response(3, a1, b1), response(3), response(4, a2, b2), response(4)), "")
    assert.strictEqual(history(response(4, a1, b1, a2, b2)), "")
    assert.strictEqual(history({ ...response(4, a1, b1, a2), fragment: true }, response(4, b2)), "")
    // What did not come yet may come later.
    assert.strictEqual(history(response(3, a1)), "")
  })
  it("must not leave a revision out, or a part of one", () => {
    assert.include(history(response(3, b1)), "got nothing at revision 2, where a=1 is due")
    assert.include(history(response(4, a1, b1, a2)), "got a=2 at revision 4, where a=2, b=2 are due")
    assert.include(history(response(3, a1, b1), response(4)), "got nothing at revision 4")
  })
  it("must not repeat, reorder or split", () => {
    assert.include(history(response(3, a1, b1), response(3, b1)), "got revision 3 of b twice")
    assert.include(history(response(3, b1, a1)), "got revision 2 after 3")
    assert.include(history(response(4, a1, b1, a2), response(4, b2)), "got revision 4 in two responses")
  })
  it("must tell the truth in events and bookmarks", () => {
    assert.include(history(response(2, event(kv("a", "9", 2)))), "got a=9 at revision 2, where a=1 is due")
    assert.include(history(response(2, event(kv("a", "1", 2, 2, 1)))), "got a=1 at revision 2")
    assert.include(history(response(3), response(3, a1)), "got revision 2 after a bookmark at 3")
    assert.include(history(response(1, a1)), "got revision 2 under a header of 1")
    assert.include(history(response(9, a1, b1, a2, b2)), "nobody can have written revision 5")
  })
})

const options = (seed: number) => ({
  seed,
  clients: 1 + (seed % 8),
  operations: 150,
  keys: 1 + (seed % 6),
  unknown: (seed % 4) * 0.1,
  watches: seed % 3,
  lastRead: seed % 2 === 0
})

describe("the check", () => {
  it("passes every history of a store that is right, whatever was delayed or never answered", () => {
    for (let seed = 0; seed < 150; seed++) {
      const { history } = simulate(options(seed))
      assert.strictEqual(complaint(checkOrder(history)), "", `seed ${seed}`)
    }
  })

  for (const fault of faults) {
    it(`finds ${fault}`, () => {
      let played = 0
      for (let seed = 0; seed < 25; seed++) {
        const { faulty, history } = simulate({
          ...options(seed),
          clients: 6,
          keys: 4,
          unknown: 0.05,
          watches: 2,
          fault
        })
        if (faulty === 0) continue
        played++
        assert.strictEqual(checkOrder(history).kind, "bad", `seed ${seed}`)
      }
      assert.isAbove(played, 5)
    })
  }

  it("agrees with the definition on small histories, right and wrong", () => {
    let right = 0
    let wrong = 0
    for (let seed = 0; seed < 4_000; seed++) {
      const { history } = simulate({
        seed,
        clients: 3,
        operations: 6,
        keys: 2,
        unknown: 0.25,
        lastRead: seed % 2 === 0
      })
      const changed: History = seed % 5 === 0 ? history : spoil(history, randomOf(seed))
      const expected = isLinearizable(changed)
      if (expected) right++
      else wrong++
      const verdict = checkOrder(changed)
      assert.strictEqual(verdict.kind, expected ? "ok" : "bad", `seed ${seed}: ${complaint(verdict)}`)
    }
    assert.isAbove(right, 500)
    assert.isAbove(wrong, 500)
  })

  it("takes 50,000 operations of 20 clients", () => {
    const { history } = simulate({ seed: 5, clients: 20, operations: 50_000, keys: 50, unknown: 0.02, watches: 2 })
    const began = performance.now()
    assert.strictEqual(complaint(checkOrder(history)), "")
    assert.isBelow(performance.now() - began, 20_000)
  }, 60_000)

  it("gives up rather than search for ever, and says so", () => {
    const { history } = simulate({ seed: 5, clients: 20, operations: 2_000, keys: 50, unknown: 0.3 })
    assert.match(complaint(checkOrder(history, { stepsMax: 100 })), /given up at revision \d+ after 101 steps/)
  })
})
