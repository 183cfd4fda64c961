/** Damaged, foreign and newer databases: never used, never overwritten, said with a reason. */
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as LocalStoreSqlite from "../../src/layers/LocalStoreSqlite.ts"
import { LocalStore } from "../../src/services/LocalStore.ts"
import { viewed } from "./lives.ts"
import { bytes, changing, first, operation, puts, recordsOf, show, stateRecords } from "./records.ts"
import { temporaryFile } from "./tempDisk.ts"

const entries = [
  first(1),
  operation(2, 1, 1),
  ...puts(3, 40, 1, "value ".repeat(20)),
  changing(41, 1, 41, [{ key: "large", value: "z".repeat(9000) }])
]

const state = { index: 20, term: 1, revision: 20, ops: ["one", "two".repeat(300), "three"].map(bytes) }

const use = <A, E>(file: string, body: (store: LocalStore["Service"]) => Effect.Effect<A, E>) =>
  Effect.flatMap(LocalStore, body).pipe(Effect.provide(LocalStoreSqlite.layer({ path: file })))

const opened = (file: string) => use(file, (store) => Effect.succeed(store.opened))

/** A sound database, closed, with its old incarnation. */
const filled = Effect.fnUntraced(function* () {
  const file = yield* temporaryFile
  const incarnation = yield* use(file, (store) =>
    Effect.gen(function* () {
      yield* store.append(entries, 20)
      yield* store.compact(0, state)
      yield* store.promise({ fenced: 2, reigned: 1 })
      return store.opened.incarnation
    })
  )
  return { file, incarnation }
})

const names = (file: string): ReadonlyArray<string> => fs.readdirSync(path.dirname(file)).sort()

describe("LocalStoreSqlite and what it finds", () => {
  it.effect("says what to do about a lock file that somebody wrote to", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      fs.mkdirSync(path.dirname(file), { recursive: true })
      fs.writeFileSync(`${file}.lock`, "not a lock, ".repeat(100))
      const refused = yield* Effect.flip(opened(file))
      assert.include(refused.message, `${file}.lock: the lock file is not usable`)
      assert.include(refused.message, "remove it while no node runs here")
    })
  )

  it.effect("sets a truncated database aside under a dated name, bytes as they were, and begins afresh", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.UTC(2026, 10, 21, 2, 22, 0))
      const { file, incarnation } = yield* filled()
      fs.truncateSync(file, fs.statSync(file).size - 5000)
      const before = fs.readFileSync(file)
      const found = yield* opened(file)
      assert.strictEqual(found.setAside?.path, `${file}.damaged-20261121T022200Z`)
      assert.isAbove(found.setAside!.reason.length, 0)
      assert.notStrictEqual(found.incarnation, incarnation)
      assert.deepStrictEqual([found.starts, found.last.index, found.promises.fenced], [1, 0, 0])
      assert.isTrue(before.equals(fs.readFileSync(found.setAside!.path)))
      // The next one of the same second gets a name of its own.
      fs.writeFileSync(file, "not a database, ".repeat(100))
      const again = yield* opened(file)
      assert.strictEqual(again.setAside?.path, `${file}.damaged-20261121T022200Z-2`)
      assert.include(again.setAside!.reason, "not a database")
      assert.strictEqual((yield* opened(file)).setAside, undefined)
    })
  )

  it.effect("sets a foreign SQLite database aside, its write-ahead log with it", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      fs.mkdirSync(path.dirname(file), { recursive: true })
      const foreign = new Database(file)
      foreign.pragma("journal_mode = WAL")
      foreign.exec("CREATE TABLE recipes (name TEXT); INSERT INTO recipes VALUES ('soup')")
      // A copy of the files as they are while the database is open, as after a kill.
      for (const suffix of ["", "-wal"]) fs.copyFileSync(file + suffix, `${file}.copy${suffix}`)
      foreign.close()
      for (const suffix of ["", "-wal"]) fs.renameSync(`${file}.copy${suffix}`, file + suffix)
      const { setAside } = yield* opened(file)
      assert.include(setAside!.reason, "not a database of Netsy")
      assert.match(setAside!.path, /\.foreign-19700101T000000Z$/)
      const kept = new Database(setAside!.path)
      assert.strictEqual(kept.prepare("SELECT name FROM recipes").pluck().get(), "soup")
      kept.close()
    })
  )

  it.effect("sets a write-ahead log aside whose database is gone", () =>
    Effect.gen(function* () {
      const { file } = yield* filled()
      fs.writeFileSync(`${file}-wal`, "what is left")
      fs.rmSync(file)
      const { setAside, starts } = yield* opened(file)
      assert.include(setAside!.reason, "its database is gone")
      assert.strictEqual(fs.readFileSync(`${setAside!.path}-wal`, "utf8"), "what is left")
      assert.strictEqual(starts, 1)
    })
  )

  it.effect("takes a database that was being made when the power went as none at all", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      fs.mkdirSync(path.dirname(file), { recursive: true })
      fs.writeFileSync(file, "")
      assert.strictEqual((yield* opened(file)).starts, 1)
      const other = yield* temporaryFile
      fs.mkdirSync(path.dirname(other), { recursive: true })
      const begun = new Database(other)
      begun.pragma("auto_vacuum = INCREMENTAL")
      begun.pragma("journal_mode = WAL")
      begun.close()
      const found = yield* opened(other)
      assert.deepStrictEqual([found.starts, found.setAside], [1, undefined])
    })
  )

  it.effect("refuses the database of a newer version and leaves it where it is", () =>
    Effect.gen(function* () {
      const { file } = yield* filled()
      const db = new Database(file)
      const node = JSON.parse(String(db.prepare("SELECT value FROM meta WHERE name = '.node'").pluck().get()))
      const { crc32 } = yield* Effect.promise(() => import("node:zlib"))
      const value = Buffer.from(JSON.stringify({ ...node, format: 3 }))
      db.prepare("UPDATE meta SET value = ?, crc = ? WHERE name = '.node'").run(value, crc32(value, crc32(".node")))
      db.pragma("user_version = 3")
      db.close()
      const error = yield* Effect.flip(opened(file))
      assert.strictEqual(error._tag, "LocalStoreFailed")
      assert.include(error.message, "written by a newer version of Netsy (format 3")
      assert.include(names(file), "db.sqlite3")
      assert.deepStrictEqual(
        names(file).filter((name) => /damaged|foreign/.test(name)),
        []
      )
    })
  )

  it.effect(
    "after a flipped bit anywhere in the file either reads exactly what was written or sets it aside",
    () =>
      Effect.gen(function* () {
        const { file, incarnation } = yield* filled()
        const sound = fs.readFileSync(file)
        let aside = 0
        let seed = 7
        for (let round = 0; round < 40; round++) {
          seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
          // Every other round in the first page, where the header and the schema are.
          const at = round % 2 === 0 ? seed % 4096 : seed % sound.length
          const copy = Buffer.from(sound)
          copy[at] = copy[at]! ^ (1 << (seed >>> 29))
          fs.rmSync(path.dirname(file), { recursive: true })
          fs.mkdirSync(path.dirname(file))
          fs.writeFileSync(file, copy)
          yield* use(file, (store) =>
            Effect.gen(function* () {
              if (store.opened.setAside !== undefined) {
                aside++
                assert.isTrue(copy.equals(fs.readFileSync(store.opened.setAside.path)), `bit at ${at}`)
                return
              }
              const { incarnation: found, promises } = store.opened
              assert.deepStrictEqual([found, promises], [incarnation, { fenced: 2, reigned: 1 }], `bit at ${at}`)
              assert.deepStrictEqual(show(recordsOf(yield* store.entries(1, 99, 1e9))), show(recordsOf(entries)))
              assert.lengthOf(yield* store.changes(0, 99, 1e9), entries.length - 2)
              const seen = yield* viewed(store, 99)
              const rows = recordsOf(entries).filter(({ op }) => op === undefined)
              assert.deepStrictEqual(show(seen), show([...stateRecords(state), ...rows]))
            })
          )
        }
        assert.isAtLeast(aside, 10)
      }),
    120_000
  )

  it.effect("fails a read that meets damage, and sets the database aside at the next start", () =>
    Effect.gen(function* () {
      const { file } = yield* filled()
      const error = yield* use(file, (store) =>
        Effect.gen(function* () {
          // Another connection stands in for a disk that changes what it holds.
          const db = new Database(file)
          db.exec("UPDATE records SET body = zeroblob(length(body)) WHERE idx = 30")
          db.close()
          return yield* Effect.flip(store.entries(29, 9, 1e9))
        })
      )
      assert.include(error.message, "the record at index 30, sub 0 does not match its checksum")
      const { last, setAside } = yield* opened(file)
      assert.include(setAside!.reason, "index 30")
      assert.strictEqual(last.index, 0)
    })
  )

  it.effect("names the folder when it cannot be made", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      fs.writeFileSync(path.dirname(file), "a file in the way")
      const error = yield* Effect.flip(opened(file))
      assert.include(error.message, file)
      assert.include(error.message, "EEXIST")
    })
  )
})
