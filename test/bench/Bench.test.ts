import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { decodePutResponse, decodeRangeResponse } from "../../src/core/wire/codec/kv.ts"
import { type CellResult, counted } from "../../src/programs/bench/cells.ts"
import { put, putMethod, putRequest, rangeMethod, rangeRequest } from "../../src/programs/bench/connection.ts"
import type { BenchFailure } from "../../src/programs/bench/failure.ts"
import { leanConnection } from "../../src/programs/bench/leanConnection.ts"
import { closedLoops, percentile } from "../../src/programs/bench/load.ts"
import { chosen, parseOptions } from "../../src/programs/bench/options.ts"
import { markdown, type Report } from "../../src/programs/bench/report.ts"
import { directory, firstAnswer, startNetsy } from "../../src/programs/bench/servers.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

const node = Effect.gen(function* () {
  const server = yield* startNetsy({ folder: yield* temporaryFolder, storage: directory, profile: undefined })
  return { server, client: yield* firstAnswer(server) }
})

const answered = (count: number): Effect.Effect<{ readonly answered: number }> => Effect.succeed({ answered: count })

describe("the benchmark against a node on a directory", () => {
  it.live(
    "counts its puts: 200 of them are 200 revisions, each answered once",
    () =>
      Effect.gen(function* () {
        const { server, client } = yield* node
        const clients = [yield* leanConnection(server.port), yield* leanConnection(server.port)]
        const revisions: Array<number> = []
        let sent = 0
        const bucketBefore = yield* server.bucketPuts
        const puts = closedLoops({
          clients,
          inFlight: 20,
          method: putMethod,
          next: () => (sent < 200 ? putRequest(Buffer.from(`key-${sent++ % 7}`), Buffer.alloc(256, 1)) : undefined),
          answered: (response) => {
            revisions.push(decodePutResponse(response).header!.revision)
            return undefined
          }
        })
        const result = yield* counted(
          client,
          Effect.map(puts, (count) => ({ answered: count }))
        )
        assert.strictEqual(result.answered, 200)
        assert.deepStrictEqual(
          revisions.toSorted((a, b) => a - b),
          Array.from({ length: 200 }, (_, n) => n + 2)
        )
        const bucketPuts = (yield* server.bucketPuts)! - bucketBefore!
        assert.isAtLeast(bucketPuts, 1)
        assert.isAtMost(bucketPuts, 200)
      }),
    60_000
  )

  it.live(
    "fails loudly when the revision grew by more or by less",
    () =>
      Effect.gen(function* () {
        const { client } = yield* node
        const onePut = Effect.as(put(client, "a", "1"), { answered: 1 })
        assert.deepStrictEqual(yield* counted(client, onePut), { answered: 1 })
        const less: BenchFailure = yield* Effect.flip(counted(client, answered(3)))
        assert.strictEqual(less.message, "3 puts were answered, but the revision grew by 0, from 2 to 2")
        const more = yield* Effect.flip(counted(client, Effect.andThen(put(client, "b", "2"), onePut)))
        assert.strictEqual(more.message, "1 puts were answered, but the revision grew by 2, from 2 to 4")
      }),
    60_000
  )

  it.live(
    "takes no error for an answer, and large answers whole",
    () =>
      Effect.gen(function* () {
        const { server, client } = yield* node
        const lean = yield* leanConnection(server.port)
        const once = (method: string, request: Buffer) => {
          let got: Buffer | undefined
          let requests = 1
          return closedLoops({
            clients: [lean],
            inFlight: 1,
            method,
            next: () => (requests-- > 0 ? request : undefined),
            answered: (response) => {
              got = response
              return undefined
            }
          }).pipe(Effect.map(() => got!))
        }
        const refused = yield* Effect.flip(once(putMethod, putRequest(Buffer.alloc(0), Buffer.alloc(0))))
        assert.strictEqual(refused.message, "/etcdserverpb.KV/Put: the server answered with an error")
        const value = "v".repeat(600_000)
        yield* put(client, "large", value)
        const response = decodeRangeResponse(yield* once(rangeMethod, rangeRequest(Buffer.from("large"))))
        assert.strictEqual(Buffer.from(response.kvs[0]!.value).toString(), value)
        yield* server.process.stop("SIGKILL")
        const lost = yield* Effect.flip(once(rangeMethod, rangeRequest(Buffer.from("large"))))
        // The second is what a write finds when the end has not been read yet.
        assert.match(lost.message, /^\/etcdserverpb.KV\/Range: (the connection was closed|This socket has been ended)/)
      }),
    60_000
  )
})

describe("what the benchmark makes of its figures", () => {
  it("takes the smallest value that the share of all values does not exceed", () => {
    const hundred = Array.from({ length: 100 }, (_, n) => n + 1)
    assert.strictEqual(percentile(hundred, 0.5), 50)
    assert.strictEqual(percentile(hundred, 0.99), 99)
    assert.strictEqual(percentile([7], 0.99), 7)
    assert.isNaN(percentile([], 0.5))
  })

  it("chooses cells by whole parts of their names", () => {
    assert.isTrue(chosen([], "s3/put/1"))
    assert.isTrue(chosen(["s3"], "s3/put/1"))
    assert.isFalse(chosen(["s3"], "s3-28ms/put/1"))
    assert.isTrue(chosen(["dir", "s3/put"], "s3/put/10"))
    assert.isFalse(chosen(["s3/put/1"], "s3/put/10"))
  })

  it("refuses a time that is none", () => {
    assert.strictEqual(parseOptions([]).seconds, 5)
    assert.throws(() => parseOptions(["--seconds", "soon"]), '--seconds "soon" is not a number above 0 and up to 600')
    assert.throws(() => parseOptions(["--second", "1"]), "--second")
  })

  it("shows ratios to etcd for the same call with as many in flight, and says when etcd is missing", () => {
    const cell = (opsPerSecond: number): CellResult => ({
      answered: 1,
      opsPerSecond,
      p50Millis: 1,
      p99Millis: 2,
      generatorCpu: 0.1,
      operation: "put",
      inFlight: 10,
      serverCpu: undefined,
      bucketPutsPerSecond: undefined
    })
    const report = (etcd: boolean): Report => ({
      machine: { cpu: "C", cores: 2, node: "24", date: "2026-11-21", loadBefore: 0.5, loadAfter: 1 },
      seconds: 5,
      etcd: etcd ? "etcd Version: 3.4.23" : undefined,
      groups: [
        ...(etcd ? [{ name: "etcd", title: "etcd", cells: [cell(2000)] }] : []),
        { name: "dir", title: "directory", cells: [cell(3000)] }
      ],
      starts: []
    })
    assert.include(markdown(report(true)), "1.50 ×")
    assert.include(markdown(report(false)), "etcd is not installed here: no comparison.")
    assert.notInclude(markdown(report(false)), "×")
  })
})
