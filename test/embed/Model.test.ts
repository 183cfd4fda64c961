/** The client against the dumbest store there is: a `Map` and a counter. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Random, Stream } from "effect"
import { Client, Netsy, Txn } from "../../src/index.ts"

interface Version {
  readonly value: string
  readonly version: number
  readonly createRevision: number
  readonly modRevision: number
}

class Model {
  revision = 1
  readonly keys = new Map<string, Version>()

  put(key: string, value: string): void {
    const before = this.keys.get(key)
    this.keys.set(key, {
      value,
      version: (before?.version ?? 0) + 1,
      createRevision: before?.createRevision ?? this.revision,
      modRevision: this.revision
    })
  }

  /** Sorted, as the store has them. */
  under(prefix: string): ReadonlyArray<readonly [string, Version]> {
    return [...this.keys].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1))
  }
}

const names = ["a", "a/1", "a/2", "b", "b/ä", "c"]
const prefixes = ["", "a", "a/", "b/", "z"]
const pick = <A>(from: ReadonlyArray<A>) => Effect.map(Random.nextIntBetween(0, from.length - 1), (i): A => from[i]!)

const step = (client: Client["Service"], model: Model, n: number) =>
  Effect.gen(function* () {
    const key = yield* pick(names)
    const prefix = yield* pick(prefixes)
    const before = model.keys.get(key)
    switch (yield* Random.nextIntBetween(0, 6)) {
      case 0: {
        model.revision++
        model.put(key, `v${n}`)
        const { previous, revision } = yield* client.put(key, `v${n}`, { previous: true })
        assert.strictEqual(revision, model.revision)
        assert.strictEqual(previous?.value, before?.value)
        return
      }
      case 1: {
        const doomed = model.under(prefix)
        if (doomed.length > 0) model.revision++
        for (const [name] of doomed) model.keys.delete(name)
        const { deleted, previous } = yield* client.delete({ prefix }, { previous: true })
        assert.strictEqual(deleted, doomed.length)
        assert.deepStrictEqual(
          previous.map(({ key: name }) => name),
          doomed.map(([name]) => name)
        )
        return
      }
      case 2: {
        const found = yield* client.get(key)
        assert.deepStrictEqual(found && versionOf(found), before)
        return
      }
      case 3: {
        const limit = yield* Random.nextIntBetween(1, 3)
        const all = model.under(prefix)
        const { count, entries, more } = yield* client.range({ prefix }, { limit })
        assert.deepStrictEqual([count, more], [all.length, all.length > limit])
        assert.deepStrictEqual(
          entries.map((entry) => [entry.key, versionOf(entry)]),
          all.slice(0, limit).map(([name, version]) => [name, version])
        )
        return
      }
      case 4: {
        const pages = yield* Stream.runCollect(client.scan({ prefix }, { pageSize: 2 }))
        assert.deepStrictEqual(
          pages.map((entry) => [entry.key, versionOf(entry)]),
          model.under(prefix).map(([name, version]) => [name, version])
        )
        return
      }
      default: {
        const wanted = (yield* Random.nextBoolean) ? (before?.modRevision ?? 0) : 1
        const holds = (before?.modRevision ?? 0) === wanted
        const result = yield* client.txn({
          if: [Txn.modRevision(key, "=", wanted)],
          then: [Txn.put(key, `t${n}`), Txn.get(key), Txn.range({ prefix })],
          else: [Txn.get(key)]
        })
        if (holds) {
          model.revision++
          model.put(key, `t${n}`)
        }
        assert.strictEqual(result.succeeded, holds)
        if (!result.succeeded) return assert.strictEqual(result.answers[0]?.value, before?.value)
        const [written, read, range] = result.answers
        assert.strictEqual(written.revision, model.revision)
        assert.strictEqual(read?.value, `t${n}`)
        assert.strictEqual(range.count, model.under(prefix).length)
      }
    }
  })

const versionOf = ({ createRevision, modRevision, value, version }: Version): Version => ({
  value,
  version,
  createRevision,
  modRevision
})

describe("the client", () => {
  for (const seed of ["one", "two", "three"]) {
    it.effect(`agrees with a map, seed ${seed}`, () =>
      Effect.gen(function* () {
        const client = yield* Client
        const model = new Model()
        const seen: Array<readonly [string, string]> = []
        for (let n = 0; n < 300; n++) yield* step(client, model, n)
        // What a watch tells from the beginning makes the same map.
        const told = new Map<string, string>()
        yield* client.put("end", "")
        yield* client.watch({ prefix: "" }, { revision: 1 }).pipe(
          Stream.takeUntil(({ entry }) => entry.key === "end"),
          Stream.runForEach(({ entry, type }) =>
            Effect.sync(() => {
              seen.push([type, entry.key])
              if (type === "put") told.set(entry.key, entry.value)
              else told.delete(entry.key)
            })
          )
        )
        told.delete("end")
        assert.deepStrictEqual(told, new Map([...model.keys].map(([key, { value }]) => [key, value] as const)))
        assert.isAbove(seen.length, 50)
      }).pipe(Random.withSeed(seed), Effect.provide(Netsy.layerMemory({ log: { to: "none" } })))
    )
  }
})
