/** Processes that die or cannot write: what was reported durable is there, and the lock is free again. */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import * as LocalStoreSqlite from "../../src/layers/LocalStoreSqlite.ts"
import { LocalStore } from "../../src/services/LocalStore.ts"
import { viewed } from "./lives.ts"
import { puts, recordsOf, show, stateRecords } from "./records.ts"
import { temporaryFile } from "./tempDisk.ts"
import { entryAt, kept, stateAt } from "./versions.ts"

const appender = fileURLToPath(new URL("./appender.ts", import.meta.url))
const compacter = fileURLToPath(new URL("./compacter.ts", import.meta.url))

interface Ended {
  readonly output: string
  readonly code: number | null
}

/** Runs the appender until `stop` says so of its output, then kills it; or until it ends by itself. */
const run = (command: string, args: ReadonlyArray<string>, stop: (output: string) => boolean) =>
  Effect.callback<Ended>((resume) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] })
    let output = ""
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk
      if (stop(output)) child.kill("SIGKILL")
    })
    child.on("close", (code) => resume(Effect.succeed({ output, code })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

const durable = (output: string): Array<number> =>
  [...output.matchAll(/^durable (\d+)$/gm)].map((match) => Number(match[1]))

const opened = (path: string) =>
  Effect.flatMap(LocalStore, (store) =>
    Effect.map(store.entries(1, 1e9, 1e9), (entries) => ({ opened: store.opened, entries }))
  ).pipe(Effect.provide(LocalStoreSqlite.layer({ path })))

describe("LocalStoreSqlite and its process", () => {
  it.effect(
    "has every append that was reported durable before SIGKILL, whole and in order, round after round",
    () =>
      Effect.gen(function* () {
        const path = yield* temporaryFile
        for (const [round, batches] of [3, 17, 40].entries()) {
          const { output } = yield* run(process.execPath, [appender, path], (text) => durable(text).length >= batches)
          const last = durable(output).pop()!
          const { entries, opened: found } = yield* opened(path)
          assert.strictEqual(found.setAside, undefined)
          assert.strictEqual(found.starts, 2 * round + 2)
          assert.isAtLeast(found.last.index, last)
          const expected = recordsOf(puts(1, found.last.index, 1, "x".repeat(1000)))
          assert.deepStrictEqual(show(recordsOf(entries)), show(expected))
        }
      }),
    60_000
  )

  it.effect(
    "SIGKILL in the middle of a compaction or of giving space back loses nothing that the floor keeps",
    () =>
      Effect.gen(function* () {
        const path = yield* temporaryFile
        let before = 0
        for (const [round, lines] of [5, 6, 7, 8, 9].entries()) {
          const { output } = yield* run(process.execPath, [compacter, path], (text) => text.split("\n").length > lines)
          const numbers = (word: string) =>
            [...output.matchAll(new RegExp(`^${word} (\\d+)$`, "gm"))].map((m) => Number(m[1]))
          const compacted = numbers("compacted").at(-1) ?? before
          before = compacted
          yield* Effect.gen(function* () {
            const store = yield* LocalStore
            const { firstIndex, floor, last, setAside, starts } = store.opened
            assert.strictEqual(setAside, undefined)
            assert.strictEqual(starts, 2 * round + 2)
            assert.isAtLeast(last.index, numbers("durable").at(-1) ?? 0)
            assert.isAtLeast(floor, entryAt(compacted, 1).revision)
            const indexes = (yield* store.entries(firstIndex, 1e6, 1e9)).map(({ index }) => index)
            assert.deepStrictEqual(
              indexes,
              Array.from({ length: last.index - firstIndex + 1 }, (_, i) => firstIndex + i)
            )
            // Made good: exactly what the rule keeps is there, and the state.
            const top = last.index
            const state = stateAt(top, 2)
            yield* store.compact(entryAt(top, 1).revision, state)
            const records = yield* viewed(store, 1e9)
            assert.deepStrictEqual(show(records.slice(0, 2)), show(stateRecords(state)))
            const expected = kept(top, top)
            assert.deepStrictEqual(
              records.slice(2).map(({ index }) => `${index}`),
              expected
            )
            for (const [i, record] of records.slice(2).entries()) {
              assert.deepStrictEqual(show([record]), show(entryAt(Number(expected[i]), 500).records))
            }
          }).pipe(Effect.provide(LocalStoreSqlite.layer({ path, compaction: { batchLimit: 1000, sleepMillis: 0 } })))
        }
      }),
    60_000
  )

  it.effect(
    "refuses a database that another process has open, and opens it when that process was killed",
    () =>
      Effect.gen(function* () {
        const path = yield* temporaryFile
        const open = yield* Deferred.make<void>()
        let refused = false
        const holder = yield* Effect.forkChild(
          run(process.execPath, [appender, path], () => {
            Deferred.doneUnsafe(open, Effect.void)
            return refused
          }),
          { startImmediately: true }
        )
        yield* Deferred.await(open)
        const other = yield* run(process.execPath, [appender, path], () => false)
        refused = true
        const { output } = yield* Fiber.join(holder)
        assert.strictEqual(other.code, 3)
        assert.include(other.output, `open on ${path}: in use by another process (it holds db.sqlite3.lock)`)
        const { opened: found } = yield* opened(path)
        assert.isAtLeast(found.last.index, durable(output).pop() ?? 0)
      }),
    60_000
  )

  it.effect(
    "fails with operation, path and reason when nothing more can be written, and keeps what was durable",
    () =>
      Effect.gen(function* () {
        const path = yield* temporaryFile
        // A limit on file sizes stands in for a full disk; the signal that comes with it is ignored.
        const command = `trap '' XFSZ; ulimit -f 2000; exec "$0" "$@"`
        const { code, output } = yield* run("sh", ["-c", command, process.execPath, appender, path, "100"], () => false)
        assert.strictEqual(code, 3)
        assert.match(output, /append on .*db\.sqlite3: .*\(SQLITE_(FULL|IOERR)/)
        const { opened: found } = yield* opened(path)
        assert.strictEqual(found.setAside, undefined)
        assert.strictEqual(found.last.index, durable(output).pop())
      }),
    60_000
  )
})
