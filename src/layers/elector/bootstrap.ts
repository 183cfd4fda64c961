/**
 * `bootstrap.netsy` (netsy-1x.md 4.5): a bucket without `members.json` and without data is seeded by this snapshot. It
 * is checked whole, then stored under the key of a snapshot; doing so again changes nothing.
 */
import { createHash } from "node:crypto"
import { Effect, Stream } from "effect"
import { chunksPrefix, snapshotKey, snapshotsPrefix } from "../../core/datafile/keys.ts"
import { type DataFileDamaged, FileKind } from "../../core/datafile/types.ts"
import { membersKey } from "../../core/election/registry.ts"
import { isInternal } from "../../core/log/record.ts"
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

/** Last revision of the seed; fails with what is wrong with it. */
const check = (store: Store): Effect.Effect<number, Failed> =>
  Effect.gen(function* () {
    let next = 1
    let last = 0
    let wrong: string | undefined
    yield* bytesOf(store, bootstrapKey).pipe(
      decode(bootstrapKey, { kind: FileKind.Snapshot }),
      Stream.runForEach((part) =>
        Effect.sync(() => {
          if (part.kind === "end") last = part.end.footer.lastRevision
          if (part.kind !== "records") return
          for (const record of part.records) {
            if (next === 1 && !isInternal(record)) wrong ??= "the first record is not `_netsy` at revision 1"
            if (record.revision !== next) wrong ??= `revision ${record.revision} comes where ${next} should`
            next++
          }
        })
      )
    )
    if (wrong === undefined && next === 1) wrong = "it has no records"
    if (wrong === undefined && last !== next - 1) wrong = `its last revision is ${last}, but it has ${next - 1} records`
    return wrong === undefined ? last : yield* impossible(bootstrapKey, wrong)
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
    const last = yield* check(store)
    const target = snapshotKey(last)
    yield* checkEmpty(store, target)
    yield* copy(store, target)
    log.info("bootstrap_promoted", { key: bootstrapKey, snapshot: target, last_revision: last })
  })
