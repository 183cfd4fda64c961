import { assert, describe, it } from "@effect/vitest"
import { isLinearizable as isLinearizableHistory } from "./bruteForce.ts"
import { checkKeys } from "./keys.ts"
import { Recorder } from "./Recorder.ts"
import { type Fault, randomOf, simulate } from "./simulate.ts"
import { spoil } from "./spoil.ts"
import { problemText } from "./verdict.ts"
import { type Call, linearize, type Model } from "./wingGong.ts"

/** A register of a small number; a read and a compare have an answer, a compare writes `to` when it held. */
type Operation =
  | { readonly kind: "write"; readonly to: number }
  | { readonly kind: "read"; readonly saw: number }
  | { readonly kind: "compare"; readonly from: number; readonly to: number; readonly held: boolean }

const register: Model<number, Operation> = {
  initial: 0,
  step: (state, operation) => {
    switch (operation.kind) {
      case "write":
        return operation.to
      case "read":
        return operation.saw === state ? state : undefined
      case "compare":
        return (state === operation.from) !== operation.held ? undefined : operation.held ? operation.to : state
    }
  },
  text: String
}

/** Every order of every choice. */
const isLinearizable = (calls: ReadonlyArray<Call<Operation>>, state: number): boolean => {
  if (calls.every(({ returned }) => returned === Infinity)) return true
  return calls.some((call) => {
    if (calls.some((other) => other.returned < call.invoked)) return false
    const after = register.step(state, call.operation)
    return (
      after !== undefined &&
      isLinearizable(
        calls.filter((other) => other !== call),
        after
      )
    )
  })
}

const randomCalls = (seed: number): Array<Call<Operation>> => {
  const random = randomOf(seed)
  const below = (n: number): number => Math.floor(random() * n)
  return Array.from({ length: 6 }, () => {
    const invoked = below(12)
    const operation: Operation = [
      { kind: "write", to: 1 + below(3) } as const,
      { kind: "read", saw: below(4) } as const,
      { kind: "compare", from: below(4), to: 1 + below(3), held: random() < 0.6 } as const
    ][below(3)]!
    return { operation, invoked, returned: random() < 0.2 ? Infinity : invoked + 0.5 + below(8) }
  })
}

describe("the search for an order", () => {
  it("finds what trying every order finds, for a register", () => {
    const found = { ok: 0, bad: 0, undecided: 0 }
    for (let seed = 0; seed < 4_000; seed++) {
      const calls = randomCalls(seed)
      const result = linearize(register, calls)
      found[result.kind]++
      assert.strictEqual(result.kind === "ok", isLinearizable(calls, 0), `seed ${seed}: ${JSON.stringify(calls)}`)
    }
    assert.isAbove(found.ok, 500)
    assert.isAbove(found.bad, 500)
    assert.strictEqual(found.undecided, 0)
  })

  it("says how far it came, and what could not be next", () => {
    const call = (operation: Operation, invoked: number): Call<Operation> => ({
      operation,
      invoked,
      returned: invoked + 1
    })
    const result = linearize(register, [
      call({ kind: "write", to: 1 }, 0),
      call({ kind: "read", saw: 1 }, 2),
      call({ kind: "write", to: 2 }, 4),
      call({ kind: "read", saw: 1 }, 6),
      call({ kind: "read", saw: 2 }, 8)
    ])
    assert.deepStrictEqual(result, {
      kind: "bad",
      longest: [
        { kind: "write", to: 1 },
        { kind: "read", saw: 1 },
        { kind: "write", to: 2 }
      ],
      state: 2,
      next: [{ kind: "read", saw: 1 }]
    })
  })

  it("gives up within its bound", () => {
    const calls = Array.from({ length: 16 }, (_, i): Call<Operation> => ({
      operation: i === 15 ? { kind: "read", saw: 99 } : { kind: "write", to: i },
      invoked: 0,
      returned: 100
    }))
    const result = linearize(register, calls, { placesMax: 1_000 })
    assert.strictEqual(result.kind, "undecided")
  })

  it("is quick where the order is nearly given", () => {
    const calls = Array.from({ length: 50_000 }, (_, i): Call<Operation> => ({
      operation: i % 2 === 0 ? { kind: "write", to: i } : { kind: "read", saw: i - 1 },
      invoked: 2 * i,
      returned: 2 * i + 2
    }))
    assert.strictEqual(linearize(register, calls).kind, "ok")
  })
})

const simulated = (seed: number, fault?: Fault) =>
  simulate({ seed, clients: 6, operations: 150, keys: 4, unknown: 0.03, fault })

describe("the check key by key", () => {
  it("passes every history of a store that is right", () => {
    for (let seed = 0; seed < 100; seed++) {
      const { problems } = checkKeys(simulated(seed).history)
      assert.strictEqual(problems.map(problemText).join("\n"), "", `seed ${seed}`)
    }
  })

  it("finds nothing in small histories that are linearizable by definition", () => {
    let wrong = 0
    for (let seed = 0; seed < 2_000; seed++) {
      const { history } = simulate({ seed, clients: 4, operations: 6, keys: 1 + (seed % 3), unknown: 0.4 })
      const changed = spoil(history, randomOf(seed))
      const { problems } = checkKeys(changed)
      if (problems.length === 0) continue
      wrong++
      assert.isFalse(isLinearizableHistory(changed), `seed ${seed}: ${problems.map(problemText).join("\n")}`)
    }
    assert.isAbove(wrong, 200)
  })

  // Those that show in one key's values and versions, whatever the headers say.
  const visible: ReadonlyArray<Fault> = [
    "a lost write",
    "a write done twice",
    "a transaction done by half",
    "a compare that is ignored",
    "a refused write that is done",
    "a wrong version",
    "a wrong creation revision",
    "a read that mixes two revisions"
  ]
  for (const fault of visible) {
    it(`finds ${fault}`, () => {
      let played = 0
      for (let seed = 0; seed < 25; seed++) {
        const { faulty, history } = simulated(seed, fault)
        if (faulty === 0) continue
        played++
        assert.isAbove(checkKeys(history).problems.length, 0, `seed ${seed}`)
      }
      assert.isAbove(played, 5)
    })
  }

  it("shows the end of the shortest beginning that is wrong", () => {
    const recorder = new Recorder()
    const put = (value: string, revision: number): void =>
      recorder.begin("c", { kind: "put", key: "a", value }).ok({ revision, result: { kind: "put" } })
    const get = (value: string, version: number, mod: number, revision: number): void => {
      const kvs = [{ key: "a", value, version, mod, create: 2 }]
      recorder.begin("c", { kind: "get", key: "a" }).ok({ revision, result: { kind: "get", kvs, count: 1 } })
    }
    put("1", 2)
    put("2", 3)
    get("1", 1, 2, 3)
    put("3", 4)
    get("3", 3, 4, 4)
    assert.deepStrictEqual(checkKeys(recorder.history()).problems.map(problemText), [
      [
        "a is 2, version 2, of revision 3 after 2 operations, and none of #2 can be next",
        "operation  client  from  to  request  answer",
        "#0         c       0     1   put a=1  2: ok",
        "#1         c       2     3   put a=2  3: ok",
        "#2         c       4     5   get a    3: a=1@2"
      ].join("\n")
    ])
  })

  it("takes 20,000 operations of 20 clients", () => {
    const { history } = simulate({ seed: 5, clients: 20, operations: 20_000, keys: 50, unknown: 0.005 })
    const began = performance.now()
    assert.deepStrictEqual(checkKeys(history), { problems: [], undecided: [] })
    assert.isBelow(performance.now() - began, 30_000)
  }, 60_000)
})
