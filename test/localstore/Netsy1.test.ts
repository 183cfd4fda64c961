/** A database of Netsy 1.x: recognised, moved away untouched, its rows offered until they are imported. */
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as LocalStoreSqlite from "../../src/layers/LocalStoreSqlite.ts"
import { LocalStore } from "../../src/services/LocalStore.ts"
import { emptyBytes } from "../../src/core/log/record.ts"
import { bytes, puts, show } from "./records.ts"
import { temporaryFile } from "./tempDisk.ts"

/** Schema and rows as Netsy 1.x writes them; left behind as a killed process would, with its write-ahead log. */
const makeNetsy1 = (file: string, rows: number): void => {
  fs.mkdirSync(path.dirname(file), { recursive: true })
  const db = new Database(file)
  db.pragma("journal_mode = WAL")
  db.exec(`
    CREATE TABLE records (
      revision integer PRIMARY KEY NOT NULL, key blob NOT NULL, created integer NOT NULL, deleted integer NOT NULL,
      create_revision integer NOT NULL, prev_revision integer NOT NULL, version integer NOT NULL, lease integer NOT NULL,
      dek integer NOT NULL, value blob, created_at text NOT NULL, compacted_at text, leader_id text NOT NULL,
      replicated_at text);
    CREATE UNIQUE INDEX records_key_create_rev_prev_rev_uindex ON records (key, create_revision, prev_revision);
    CREATE INDEX records_index_key ON records (key);
    CREATE TABLE compactions (compaction_revision integer PRIMARY KEY NOT NULL, created_at text NOT NULL);
    INSERT INTO compactions VALUES (2, '2026-01-02T00:00:00Z');
  `)
  db.pragma("user_version = 1")
  const insert = db.prepare("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
  for (let revision = 1; revision <= rows; revision++) {
    const deleted = revision === 2
    insert.run(
      revision,
      Buffer.from(`k${revision}`),
      deleted ? 0 : 1,
      deleted ? 1 : 0,
      revision,
      deleted ? 1 : 0,
      deleted ? 0 : 1,
      9_223_372_036_854_775_807n,
      0,
      deleted ? null : Buffer.from([revision, 0]),
      "2026-01-01T00:00:00.5Z",
      deleted ? "2026-01-02T00:00:00Z" : null,
      "netsy-1",
      revision === 3 ? "2026-01-01T00:00:01.000000001Z" : null
    )
  }
  for (const suffix of ["", "-wal"]) fs.copyFileSync(file + suffix, `${file}.copy${suffix}`)
  db.close()
  for (const suffix of ["", "-wal"]) fs.renameSync(`${file}.copy${suffix}`, file + suffix)
}

const use = <A, E>(file: string, body: (store: LocalStore["Service"]) => Effect.Effect<A, E>) =>
  Effect.flatMap(LocalStore, body).pipe(Effect.provide(LocalStoreSqlite.layer({ path: file })))

const newYear2026 = Date.UTC(2026, 0, 1) / 1000

describe("LocalStoreSqlite on a database of Netsy 1.x", () => {
  it.effect("offers its rows as records of term 0 and keeps its file under a dated name", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.UTC(2026, 10, 21, 2, 22, 0))
      const file = yield* temporaryFile
      makeNetsy1(file, 4)
      yield* use(file, (store) =>
        Effect.gen(function* () {
          const { imported, last, setAside, starts } = store.opened
          const old = `${file}.netsy-1x-20261121T022200Z`
          assert.deepStrictEqual(imported, { path: old, count: 4, lastRevision: 4, floor: 2 })
          assert.deepStrictEqual([last.index, setAside, starts], [0, undefined, 1])
          const rows = yield* store.readImported(2, 2)
          const common = {
            term: 0,
            sub: 0,
            lease: 9_223_372_036_854_775_807n,
            dek: 0,
            createdAt: { seconds: newYear2026, nanos: 500_000_000 },
            leaderId: "netsy-1",
            op: undefined
          }
          const expected = [
            {
              ...common,
              index: 2,
              revision: 2,
              key: bytes("k2"),
              created: false,
              deleted: true,
              createRevision: 2,
              prevRevision: 1,
              version: 0,
              value: emptyBytes,
              compactedAt: { seconds: newYear2026 + 86_400, nanos: 0 },
              replicatedAt: undefined
            },
            {
              ...common,
              index: 3,
              revision: 3,
              key: bytes("k3"),
              created: true,
              deleted: false,
              createRevision: 3,
              prevRevision: 0,
              version: 1,
              value: new Uint8Array([3, 0]),
              compactedAt: undefined,
              replicatedAt: { seconds: newYear2026 + 1, nanos: 1 }
            }
          ]
          assert.deepStrictEqual(show(rows), show(expected))
          assert.deepStrictEqual(yield* store.readImported(5, 9), [])
          yield* store.append(puts(1, 4), 4)
        })
      )
    })
  )

  it.effect("offers them again after a restart until the import is done, and never after", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      makeNetsy1(file, 3)
      const before = yield* use(file, (store) => Effect.succeed(store.opened))
      yield* use(file, (store) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(store.opened.imported, before.imported)
          assert.strictEqual(store.opened.starts, 2)
          assert.lengthOf(yield* store.readImported(0, 9), 3)
          yield* store.importDone
        })
      )
      yield* use(file, (store) =>
        Effect.gen(function* () {
          assert.strictEqual(store.opened.imported, undefined)
          assert.deepStrictEqual(yield* store.readImported(0, 9), [])
        })
      )
      assert.isTrue(fs.existsSync(before.imported!.path))
    })
  )

  it.effect(
    "finds it again when the process died between the note and the move, and between the move and the rest",
    () =>
      Effect.gen(function* () {
        const file = yield* temporaryFile
        makeNetsy1(file, 3)
        fs.writeFileSync(`${file}.import`, "db.sqlite3.netsy-1x-20200101T000000Z")
        const first = yield* use(file, (store) => Effect.succeed(store.opened.imported!))
        assert.match(first.path, /netsy-1x-19700101T000000Z$/)
        assert.strictEqual(first.count, 3)
        for (const suffix of ["", "-wal", "-shm"]) fs.rmSync(file + suffix, { force: true })
        const second = yield* use(file, (store) => Effect.succeed(store.opened.imported!))
        assert.deepStrictEqual(second, first)
      })
  )

  it.effect("stops with the row and the column when a time is not one, and leaves its own database in use", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      makeNetsy1(file, 3)
      const db = new Database(file)
      db.exec("UPDATE records SET created_at = 'yesterday' WHERE revision = 2")
      db.close()
      const error = yield* use(file, (store) => Effect.flip(store.readImported(1, 9)))
      assert.include(error.message, `the Netsy 1.x row of revision 2 has created_at "yesterday"`)
      assert.include(error.path, ".netsy-1x-")
      assert.strictEqual((yield* use(file, (store) => Effect.succeed(store.opened))).setAside, undefined)
    })
  )

  it.effect("says how to go on without it when the set-aside file is gone", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      makeNetsy1(file, 3)
      const { path: old } = yield* use(file, (store) => Effect.succeed(store.opened.imported!))
      fs.rmSync(old)
      const error = yield* Effect.flip(use(file, () => Effect.void))
      assert.include(error.message, "cannot be imported")
      assert.include(error.message, `remove ${file}.import to go on without it`)
    })
  )
})
