/**
 * `bootstrap.netsy` (netsy-1x.md 4.5): a bucket without `members.json` and without data is seeded by this snapshot: one of
 * ours, as `netsy restore` writes them, or one of Netsy 1.x with all revisions. It is checked whole, then stored under the
 * key of a snapshot; doing so again changes nothing.
 */
import { createHash } from "node:crypto"
import { Effect, Stream } from "effect"
import { chunksPrefix, snapshotKey, snapshotsPrefix } from "../../core/datafile/keys.ts"
import { snapshotState } from "../../core/datafile/summary.ts"
import { type DataFileDamaged, type FileHeader, FileKind } from "../../core/datafile/types.ts"
import { membersKey } from "../../core/election/registry.ts"
import { isInternal, type LogRecord } from "../../core/log/record.ts"
import type { Log } from "../../services/Log.ts"
import type { ObjectStore } from "../../services/ObjectStore.ts"
import { decode } from "../datafile/decode.ts"
import { bounded, type BucketFailed, ElectionImpossible } from "./parts.ts"

export const bootstrapKey = "bootstrap.netsy"

type Store = ObjectStore["Service"]
type Failed = BucketFailed | ElectionImpossible

const impossible = (key: string, reason: string) => Effect.fail(new ElectionImpossible({ key, reason }))

const exists = (store: Store, key: string): Effect.Effect<boolean, BucketFailed> =>
  store.head(key).pipe(
    Effect.as(true),
    Effect.catchTag("NotFound", () => Effect.succeed(false)),
    bounded("HEAD", key)
  )

const bytesOf = (store: Store, key: string) => Stream.unwrap(Effect.map(store.getStream(key), ({ body }) => body))

/** Where the seed ends. */
interface SeedEnd {
  readonly index: number
  readonly revision: number
}

/** A snapshot of Netsy 1.x states neither floor nor end: all its revisions have to be there. */
class OldSeed {
  #next = 1
  #wrong: string | undefined

  add(record: LogRecord): void {
    const { revision } = record
    if (this.#next === 1 && !isInternal(record)) this.#wrong ??= "the first record is not `_netsy` at revision 1"
    if (revision !== this.#next) this.#wrong ??= `revision ${revision} comes where ${this.#next} should`
    this.#next++
  }

  end(lastRevision: number): SeedEnd | string {
    if (this.#wrong !== undefined) return this.#wrong
    if (this.#next === 1) return "it has no records"
    const count = this.#next - 1
    if (lastRevision !== count) return `its last revision is ${lastRevision}, but it has ${count} records`
    return { index: count, revision: count }
  }
}

/** Fails with what is wrong with the seed. */
const check = (store: Store): Effect.Effect<SeedEnd, Failed> =>
  Effect.gen(function* () {
    const old = new OldSeed()
    let header: FileHeader | undefined
    let state: ReturnType<typeof snapshotState>
    let isFirst = true
    let lastRevision = 0
    yield* bytesOf(store, bootstrapKey).pipe(
      decode(bootstrapKey, { kind: FileKind.Snapshot }),
      Stream.runForEach((part) =>
        Effect.sync(() => {
          if (part.kind === "header") header = part.header
          if (part.kind === "end") lastRevision = part.end.footer.lastRevision
          if (part.kind !== "records") return
          if (header!.term === 0) for (const record of part.records) old.add(record)
          else if (isFirst) state = snapshotState(part.records[0]!)
          isFirst = false
        })
      )
    )
    if (header!.term === 0) {
      const end = old.end(lastRevision)
      return typeof end === "string" ? yield* impossible(bootstrapKey, end) : end
    }
    if (state === undefined) return yield* impossible(bootstrapKey, "the first record does not state the floor")
    return { index: header!.lastIndex, revision: state.revision }
  }).pipe(
    Effect.catchIf(
      (error): error is DataFileDamaged => error._tag === "DataFileDamaged",
      (error) => impossible(bootstrapKey, error.message)
    ),
    Effect.catchTag("NotFound", () => impossible(bootstrapKey, "it was deleted while it was read"))
  )

const digest = (store: Store, key: string) =>
  bytesOf(store, key).pipe(
    Stream.runFold(
      () => createHash("sha256"),
      (hash, piece) => hash.update(piece)
    ),
    Effect.map((hash) => hash.digest("hex"))
  )

/** Nothing else may be there: it would be another history. */
const checkEmpty = (store: Store, target: string): Effect.Effect<void, Failed> =>
  Effect.gen(function* () {
    for (const prefix of [chunksPrefix, snapshotsPrefix]) {
      const { objects } = yield* store.list({ prefix, limit: 2 }).pipe(bounded("LIST", prefix))
      const other = objects.find(({ key }) => key !== target)
      if (other !== undefined) {
        return yield* impossible(bootstrapKey, `the bucket holds data already (${other.key}) and is not seeded`)
      }
    }
  })

const copy = (store: Store, target: string): Effect.Effect<void, Failed> =>
  Effect.gen(function* () {
    const { size } = yield* store.head(bootstrapKey)
    const body = {
      size,
      open: () => Stream.mapError(bytesOf(store, bootstrapKey), (error) => new Error(error.message))
    }
    yield* store.putStream(target, body, { ifAbsent: true }).pipe(
      Effect.asVoid,
      Effect.catchTag(["PreconditionFailed", "Conflict"], () =>
        Effect.gen(function* () {
          const [seed, there] = [yield* digest(store, bootstrapKey), yield* digest(store, target)]
          if (seed !== there)
            return yield* impossible(target, `already exists with other contents than ${bootstrapKey}`)
        })
      )
    )
  }).pipe(Effect.catchTag("NotFound", ({ key }) => impossible(key, "it was deleted while the bucket was seeded")))

/** Before `members.json` is written for the first time. */
export const promoteBootstrap = (store: Store, log: Log["Service"]): Effect.Effect<void, Failed> =>
  Effect.gen(function* () {
    if (yield* exists(store, membersKey)) return
    if (!(yield* exists(store, bootstrapKey))) return
    const end = yield* check(store)
    const target = snapshotKey(end.index)
    yield* checkEmpty(store, target)
    yield* copy(store, target)
    log.info("bootstrap_promoted", { key: bootstrapKey, snapshot: target, last_revision: end.revision })
  })
