/**
 * `netsy restore`: the state of a moment that the bucket still keeps (`snapshot.history`) as `bootstrap.netsy` of a new
 * one, or as a file. Reads the source and changes nothing in it.
 */
import { createReadStream, existsSync } from "node:fs"
import { mkdtemp, rename, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Clock, Effect, Schema, Stream } from "effect"
import { type Arbiter, arbiterKey, decodeArbiter } from "../core/election/arbiter.ts"
import { membersKey } from "../core/election/registry.ts"
import { chunksPrefix, snapshotsPrefix } from "../core/datafile/keys.ts"
import { isoTime } from "../core/isoTime.ts"
import type { Moment } from "../core/log/moment.ts"
import { bootstrapKey } from "../layers/elector/bootstrap.ts"
import * as HistoryBucket from "../layers/HistoryBucket.ts"
import { failedOn } from "../layers/snapshotter/snapshotFile.ts"
import { History, type ReadOptions } from "../services/History.ts"
import { ObjectStore } from "../services/ObjectStore.ts"
import { type Options, readOptions, type Target, usage } from "./restore/options.ts"
import { type Restored, writeState } from "./restore/state.ts"
import { showBytes } from "./verify/progress.ts"

/** The command line is wrong, or the target is not one to write to. */
export class RestoreRefused extends Schema.TaggedError<RestoreRefused>()("RestoreRefused", {
  message: Schema.String
}) {}

const refuse = (message: string) => Effect.fail(new RestoreRefused({ message }))

/** A node cleans up in the source meanwhile: so often it is read anew. */
const readingsMax = 5

/** A new cluster begins where nothing of another one is. */
const checkEmpty = (store: ObjectStore["Service"], word: string) =>
  Effect.gen(function* () {
    for (const key of [membersKey, bootstrapKey]) {
      const isThere = yield* store.head(key).pipe(
        Effect.as(true),
        Effect.catchTag("NotFound", () => Effect.succeed(false))
      )
      if (isThere) return yield* refuse(`${word} is not empty: it has ${key}`)
    }
    for (const prefix of [chunksPrefix, snapshotsPrefix]) {
      const { objects } = yield* store.list({ prefix, limit: 1 })
      if (objects.length > 0) return yield* refuse(`${word} is not empty: it has ${objects[0]!.key}`)
    }
  })

const upload = (store: ObjectStore["Service"], word: string, file: string) =>
  Effect.gen(function* () {
    const { size } = yield* Effect.tryPromise({ try: () => stat(file), catch: failedOn(file) })
    const open = () => Stream.fromAsyncIterable(createReadStream(file) as AsyncIterable<Uint8Array>, failedOn(file))
    yield* store
      .putStream(bootstrapKey, { size, open }, { ifAbsent: true })
      .pipe(Effect.catchTag("PreconditionFailed", () => refuse(`${word} is not empty: it has ${bootstrapKey}`)))
  })

/** Undefined: nobody can say what it says. */
const readArbiter: Effect.Effect<Arbiter | undefined, never, ObjectStore> = Effect.gen(function* () {
  const { body } = yield* (yield* ObjectStore).get(arbiterKey)
  const arbiter = decodeArbiter(body)
  return typeof arbiter === "string" ? undefined : arbiter
}).pipe(Effect.catch(() => Effect.succeed(undefined)))

const scratchFolder = Effect.acquireRelease(
  Effect.tryPromise({ try: () => mkdtemp(join(tmpdir(), "netsy-restore-")), catch: failedOn(tmpdir()) }),
  (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
)

/** From the `ObjectStore` there is into `file`. */
export const restoreInto = (moment: Moment, file: string) =>
  Effect.gen(function* () {
    const arbiter = yield* readArbiter
    const options: ReadOptions = { recoveredTerm: arbiter === undefined ? "unknown" : arbiter.recovered?.term }
    // No header is of a later term than the arbiter's.
    const highestTerm = arbiter?.term ?? (yield* (yield* History).highestTerm)
    for (let reading = 1; ; reading++) {
      const restored = yield* Effect.gen(function* () {
        const scratch = yield* scratchFolder
        return yield* writeState(moment, options, highestTerm + 1, scratch, file)
      }).pipe(
        Effect.scoped,
        Effect.catchIf(
          (error) => error._tag === "HistoryMoved" && reading < readingsMax,
          () => Effect.succeed(undefined)
        )
      )
      if (restored !== undefined) return restored
    }
  }).pipe(Effect.provide(HistoryBucket.layer))

const toStore = ({ moment, source }: Options, { store, word }: Extract<Target, { readonly kind: "store" }>) =>
  Effect.gen(function* () {
    const target = yield* ObjectStore
    yield* checkEmpty(target, word)
    const file = join(yield* scratchFolder, bootstrapKey)
    const restored = yield* restoreInto(moment, file).pipe(Effect.provide(source))
    yield* upload(target, word, file)
    return restored
  }).pipe(Effect.provide(store), Effect.scoped)

const toFile = ({ moment, source }: Options, path: string) =>
  Effect.gen(function* () {
    if (existsSync(path)) return yield* refuse(`${path} is there already`)
    const partial = `${path}.partial`
    if (existsSync(partial)) return yield* refuse(`${partial} is there already`)
    const restored = yield* restoreInto(moment, partial).pipe(
      Effect.provide(source),
      Effect.onError(() => Effect.promise(() => rm(partial, { force: true })))
    )
    yield* Effect.tryPromise({ try: () => rename(partial, path), catch: failedOn(path) })
    return restored
  })

/** Reads, and writes to where it is wanted; nothing is left behind there when that fails. */
export const carryOut = (options: Options) =>
  options.target.kind === "file" ? toFile(options, options.target.path) : toStore(options, options.target)

const count = (number: number, one: string): string => `${number} ${one}${number === 1 ? "" : "s"}`

export const summary = (restored: Restored, target: Target): string => {
  const { bytes, floor, index, keys, lastWriteMillis, leases, revision, term, users } = restored
  const written = lastWriteMillis === undefined ? "" : `, last write ${isoTime(lastWriteMillis)}`
  const since = floor > 0 ? `, compacted at revision ${floor}` : ""
  const place = target.kind === "file" ? target.path : `${bootstrapKey} in ${target.word}`
  const next =
    target.kind === "file"
      ? `put it as ${bootstrapKey} into an empty bucket, prefix or directory, and start a node with that storage and an empty data directory`
      : `start a node with --storage ${target.word} and an empty data directory`
  return [
    `Restored  revision ${revision} (index ${index}, term ${term})${written}`,
    `Holds     ${count(keys, "key")}, ${count(leases, "lease")}, ${count(users, "user")}${since}`,
    `Written   ${place} (${showBytes(bytes)})`,
    `Next      ${next}`,
    ""
  ].join("\n")
}

/** 1: the bucket was read, and does not have it. */
export const exitCodeOf = ({ _tag }: { readonly _tag: string }): number =>
  _tag === "NoSuchMoment" || _tag === "HistoryBroken" ? 1 : 2

/** The subcommand; sets the exit code of the process. */
export const restore = (argv: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (argv.includes("--help") || argv.includes("-h")) {
      process.stdout.write(usage)
      return
    }
    const now = yield* Clock.currentTimeMillis
    const options = yield* Effect.try({
      try: () => readOptions(argv, now),
      catch: (cause) => new RestoreRefused({ message: cause instanceof Error ? cause.message : String(cause) })
    })
    process.stdout.write(summary(yield* carryOut(options), options.target))
  }).pipe(
    Effect.catch((error) =>
      Effect.sync(() => {
        process.stderr.write(`netsy restore: ${error.message}\n`)
        process.exitCode = exitCodeOf(error)
      })
    )
  )
