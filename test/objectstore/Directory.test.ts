/** What only the directory store promises: processes, crashes, hidden names, errors with paths. */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdirSync, readdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream } from "effect"
import { failureOf } from "../../src/layers/objectstore/directoryErrors.ts"
import * as ObjectStoreDirectory from "../../src/layers/ObjectStoreDirectory.ts"
import { openStore, withStorage } from "./support.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

const opened = (path: string) => openStore(ObjectStoreDirectory.layerAt(path))

const run = (script: string, ...args: ReadonlyArray<string>): ChildProcess =>
  spawn(process.execPath, ["--disable-warning=ExperimentalWarning", join(import.meta.dirname, script), ...args], {
    stdio: ["ignore", "pipe", "inherit"]
  })

const lines = (child: ChildProcess, take: (line: string) => void): Promise<number | null> => {
  createInterface({ input: child.stdout! }).on("line", take)
  return new Promise((resolve) => child.once("close", (code) => resolve(code)))
}

describe("ObjectStoreDirectory", () => {
  it("a full disk may be tried again, a forbidden one not, and both name the path", () => {
    const failure = (code: string, path?: string) =>
      failureOf("put", "k", "/store/k", Object.assign(new Error("m"), { code }, path === undefined ? {} : { path }))
    for (const code of ["ENOSPC", "EDQUOT", "EIO", "EMFILE"]) {
      assert.strictEqual(failure(code)._tag, "Unavailable")
      assert.match(failure(code).message, /^put k: .* \(E\w+\) at \/store\/k$/)
    }
    for (const code of ["EACCES", "EPERM", "EROFS"]) {
      assert.strictEqual(failure(code, "/store/.tmp/1")._tag, "Denied")
      assert.match(failure(code, "/store/.tmp/1").message, /^put k: .* \(E\w+\) at \/store\/.tmp\/1$/)
    }
    assert.strictEqual(failure("EWHATEVER").message, "put k: m")
  })

  it.live(
    "processes that are killed while they compare and set lose nothing and block nobody",
    () =>
      Effect.gen(function* () {
        const path = yield* temporaryFolder
        const store = yield* opened(path)
        yield* store.put("counter", bytes("0"))
        const acknowledged: Array<number> = []
        const take = (line: string): void => void acknowledged.push(Number(line))
        yield* Effect.promise(async () => {
          const survivors = [1, 2].map(() => run("counterProcess.ts", path, "80"))
          const ends = survivors.map((child) => lines(child, take))
          for (let victim = 0; victim < 4; victim++) {
            const child = run("counterProcess.ts", path, "100000")
            let seen = 0
            await lines(child, (line) => {
              take(line)
              if (++seen === 5 + victim) child.kill("SIGKILL")
            })
          }
          assert.deepStrictEqual(await Promise.all(ends), [0, 0])
        })
        const final = Number(new TextDecoder().decode((yield* store.get("counter")).body))
        // Every acknowledged value was reached once; a killed process may have made one more that it did not report.
        assert.strictEqual(new Set(acknowledged).size, acknowledged.length)
        assert.isAtLeast(acknowledged.length, 160 + 5 + 6 + 7 + 8)
        assert.isAtLeast(final, acknowledged.length)
        assert.isAtMost(final, acknowledged.length + 4)
      }),
    60_000
  )

  it.live(
    "the exclusive lock is one process's, and dies with it",
    () =>
      Effect.gen(function* () {
        const path = yield* temporaryFolder
        const store = yield* opened(path)
        const holder = run("lockProcess.ts", path)
        yield* Effect.promise(async () => {
          const got = await new Promise<string>((resolve) => void lines(holder, resolve))
          assert.strictEqual(got, "true")
        })
        assert.isFalse(yield* Effect.scoped(store.exclusive!))
        yield* Effect.promise(async () => {
          const gone = new Promise((resolve) => holder.once("exit", resolve))
          holder.kill("SIGKILL")
          await gone
        })
        yield* Effect.scoped(
          Effect.gen(function* () {
            assert.isTrue(yield* store.exclusive!)
            const other = yield* opened(path)
            assert.isFalse(yield* Effect.scoped(other.exclusive!))
            // Writes do not need the lock, and it does not need them to stop.
            yield* other.put("k", bytes("x"))
          })
        )
        assert.isTrue(yield* Effect.scoped(store.exclusive!))
      }),
    30_000
  )

  it.live("names with a leading dot, links and other files of the folder do not exist for it", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFolder
      const store = yield* opened(path)
      mkdirSync(join(path, ".node"))
      writeFileSync(join(path, ".node", "db.sqlite3"), "x")
      mkdirSync(join(path, "nodes"))
      writeFileSync(join(path, "nodes", ".partial"), "x")
      writeFileSync(join(path, "nodes", "seen.json"), "x")
      symlinkSync("/etc/passwd", join(path, "nodes", "link"))
      const page = yield* store.list({ prefix: "" })
      assert.deepStrictEqual(
        page.objects.map((object) => object.key),
        ["nodes/seen.json"]
      )
      const top = yield* store.list({ prefix: "", delimiter: "/" })
      assert.deepStrictEqual(top.prefixes, ["nodes/"])
      assert.strictEqual((yield* Effect.flip(store.get(".node/db.sqlite3")))._tag, "Denied")
    })
  )

  it.live("what was written is a plain file of that name, and nothing else is left in the folder", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFolder
      const store = yield* opened(path)
      yield* store.put("a/b/c.json", bytes("one"))
      yield* store.put("a/b/c.json", bytes("two"))
      yield* store.putStream("a/s", { size: 1, open: () => Stream.make(bytes("s")) })
      yield* Effect.flip(store.put("a/b/c.json", bytes("three"), { ifAbsent: true }))
      assert.strictEqual(readFileSync(join(path, "a/b/c.json"), "utf8"), "two")
      assert.deepStrictEqual(readdirSync(path).toSorted(), [".lock", ".tmp", "a"])
      assert.deepStrictEqual(readdirSync(join(path, ".tmp")), [])
    })
  )

  it.live("left-overs of crashed writers are removed when they are old, and never listed", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFolder
      mkdirSync(join(path, ".tmp"))
      for (const name of ["old", "young"]) writeFileSync(join(path, ".tmp", name), "half")
      utimesSync(join(path, ".tmp", "old"), 1000, 1000)
      const store = yield* opened(path)
      assert.deepStrictEqual(readdirSync(join(path, ".tmp")), ["young"])
      assert.deepStrictEqual((yield* store.list({ prefix: "" })).objects, [])
    })
  )

  it.live("an ETag is never given twice, however fast the writes and whatever the clock does", () =>
    Effect.gen(function* () {
      const store = yield* opened(yield* temporaryFolder)
      const seen = new Set<string>()
      for (let i = 0; i < 300; i++) {
        if (i % 3 === 0) yield* store.delete("k")
        seen.add((yield* store.put("k", bytes("same"))).etag)
      }
      assert.strictEqual(seen.size, 300)
      const path = yield* temporaryFolder
      const second = yield* opened(path)
      const before = yield* second.put("k", bytes("same"))
      // As if the clock had been an hour ahead.
      const later = Date.now() / 1000 + 3600
      utimesSync(join(path, "k"), later, later)
      const ahead = yield* second.head("k")
      const after = yield* second.put("k", bytes("same"), { ifMatch: ahead.etag })
      assert.isAbove((yield* second.head("k")).lastModified, Date.now() + 3_000_000)
      assert.strictEqual(new Set([before.etag, ahead.etag, after.etag]).size, 3)
    })
  )

  it.live("a key cannot be an object and a folder at once, and the error says which file", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFolder
      const store = yield* opened(path)
      yield* store.put("a/b", bytes("x"))
      for (const condition of [undefined, { ifAbsent: true as const }]) {
        const folder = yield* Effect.flip(store.put("a", bytes("x"), condition))
        assert.strictEqual(folder._tag, "Denied")
        assert.include(folder.message, join(path, "a"))
        const below = yield* Effect.flip(store.put("a/b/c", bytes("x"), condition))
        assert.strictEqual(below._tag, "Denied")
        assert.include(below.message, join(path, "a/b"))
      }
      yield* store.delete("a/b")
      yield* store.put("a", bytes("now it fits"))
      assert.strictEqual((yield* store.head("a")).size, 11)
    })
  )

  it.live("a path that is not a folder is refused when the store opens, with its name", () =>
    Effect.gen(function* () {
      const path = join(yield* temporaryFolder, "file")
      writeFileSync(path, "x")
      const error = yield* Effect.flip(Effect.scoped(opened(path)))
      assert.include(error.message, path)
      const below = yield* Effect.flip(Effect.scoped(opened(join(path, "below"))))
      assert.include(below.message, path)
    })
  )

  it.live("the folder of the settings is made when it is missing", () =>
    Effect.gen(function* () {
      const path = join(yield* temporaryFolder, "not/yet/there")
      const layer = ObjectStoreDirectory.layer.pipe(Layer.provide(withStorage({ provider: "directory", path })))
      const store = yield* openStore(layer)
      yield* store.put("k", bytes("x"))
      assert.strictEqual(readFileSync(join(path, "k"), "utf8"), "x")
    })
  )

  it.live("a streamed put that is interrupted leaves nothing behind", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFolder
      const store = yield* opened(path)
      const body = { size: 10, open: () => Stream.concat(Stream.make(bytes("12345")), Stream.never) }
      const fiber = yield* Effect.forkChild(store.putStream("s", body), { startImmediately: true })
      yield* Effect.sleep("50 millis")
      assert.strictEqual(readdirSync(join(path, ".tmp")).length, 1)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(readdirSync(join(path, ".tmp")), [])
      assert.strictEqual((yield* Effect.flip(store.head("s")))._tag, "NotFound")
    })
  )
})
