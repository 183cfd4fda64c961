/** Reads every chunk and snapshot of the bucket to its footer, a piece at a time. */
import { Effect, Stream } from "effect"
import { indexOfKey } from "../../core/datafile/keys.ts"
import { ChunkSummary, OldFloor, type SnapshotFile, snapshotState } from "../../core/datafile/summary.ts"
import { DataFileDamaged, type FileHeader, FileKind } from "../../core/datafile/types.ts"
import { millisOf } from "../../core/log/moment.ts"
import type { DataFile } from "../../core/verify/objects.ts"
import { attempt, decode } from "../../layers/datafile/decode.ts"
import { type ObjectInfo, ObjectStore } from "../../services/ObjectStore.ts"
import type { Progress } from "./progress.ts"

const atOnce = 8

/** Every object below the prefix. */
export const listAll = (prefix: string) =>
  Effect.gen(function* () {
    const store = yield* ObjectStore
    const objects: Array<ObjectInfo> = []
    let after: string | undefined
    do {
      const page = yield* store.list(after === undefined ? { prefix } : { prefix, after })
      for (const object of page.objects) objects.push(object)
      after = page.next
    } while (after !== undefined)
    return objects
  })

const readFile = ({ key, lastModified, size }: ObjectInfo, kind: number) =>
  Effect.gen(function* () {
    const store = yield* ObjectStore
    const chunk = new ChunkSummary()
    const oldFloor = new OldFloor()
    let header: FileHeader | undefined
    let state: ReturnType<typeof snapshotState>
    let isFirst = true
    let lastRevision = 0
    yield* Stream.unwrap(Effect.map(store.getStream(key), ({ body }) => body)).pipe(
      decode(key, { kind }),
      Stream.runForEach((part) =>
        attempt(() => {
          if (part.kind === "header") header = part.header
          if (part.kind === "end") lastRevision = part.end.footer.lastRevision
          if (part.kind !== "records") return
          if (kind === FileKind.Chunk) chunk.add(part.records)
          else if (header!.term === 0) oldFloor.add(part.records)
          else if (isFirst) {
            state = snapshotState(part.records[0]!)
            if (state === undefined)
              throw new DataFileDamaged(key, "record value", 0, true, "the first record does not state the floor")
          }
          isFirst = false
        })
      )
    )
    const { createdAt, lastIndex, lastTerm, term } = header!
    const about = { key, size, lastModified, createdMillis: millisOf(createdAt) }
    const chunks = kind === FileKind.Chunk ? chunk.finish(key, size, header!) : []
    const old = term === 0
    let snapshot: SnapshotFile | undefined
    if (kind === FileKind.Snapshot)
      snapshot = old
        ? {
            ...{ ...about, lastIndex: lastRevision, lastTerm: 0 },
            ...{ revision: lastRevision, floor: oldFloor.floor, old }
          }
        : { ...{ ...about, lastIndex, lastTerm }, ...(state ?? { revision: 0, floor: 0 }), old }
    const end = snapshot?.lastIndex ?? chunks.at(-1)?.lastIndex ?? 0
    if (end !== indexOfKey(key))
      return yield* Effect.fail(
        new DataFileDamaged(key, "last index", 0, false, `the key says ${indexOfKey(key)}, the file ends at ${end}`)
      )
    return { key, size, header: header!, chunks, snapshot } satisfies DataFile
  })

export interface ObjectsRead {
  readonly files: ReadonlyArray<DataFile>
  readonly damaged: ReadonlyArray<{ readonly key: string; readonly problem: string }>
  /** Listed, and deleted before they were read: nodes clean up meanwhile. */
  readonly vanished: number
  /** Not named as data files are. */
  readonly strange: ReadonlyArray<string>
}

/** What a reader needs at least: the newest snapshot and what ends behind it. */
const pathBytes = (chunks: ReadonlyArray<ObjectInfo>, snapshots: ReadonlyArray<ObjectInfo>): number => {
  const newest = snapshots.reduce((top, one) => Math.max(top, indexOfKey(one.key) ?? 0), 0)
  const needed = [...chunks, ...snapshots].filter(({ key }) => (indexOfKey(key) ?? 0) >= newest)
  return needed.reduce((sum, { size }) => sum + size, 0)
}

/** `passes`: how often the history itself is read afterwards. */
export const readObjects = (progress: Progress, passes: number, say: (line: string) => void) =>
  Effect.gen(function* () {
    const chunks = yield* listAll("chunks/")
    const snapshots = yield* listAll("snapshots/")
    const all = [...chunks, ...snapshots]
    const total = all.reduce((sum, { size }) => sum + size, 0)
    progress.plan(total + passes * pathBytes(chunks, snapshots))
    progress.announce(all.length, total, passes, say)
    const files: Array<DataFile> = []
    const damaged: Array<{ readonly key: string; readonly problem: string }> = []
    const strange: Array<string> = []
    let vanished = 0
    const one = (kind: number) => (object: ObjectInfo) =>
      indexOfKey(object.key) === undefined
        ? Effect.sync(() => void strange.push(object.key))
        : readFile(object, kind).pipe(
            Effect.map((file) => void files.push(file)),
            Effect.catchTag("NotFound", () => Effect.sync(() => void vanished++)),
            Effect.catchTag("DataFileDamaged", (damage) =>
              Effect.sync(() => void damaged.push({ key: object.key, problem: damage.message }))
            )
          )
    yield* Effect.forEach(chunks, one(FileKind.Chunk), { concurrency: atOnce, discard: true })
    yield* Effect.forEach(snapshots, one(FileKind.Snapshot), { concurrency: atOnce, discard: true })
    const byKey = (a: { readonly key: string }, b: { readonly key: string }): number => (a.key < b.key ? -1 : 1)
    return { files: files.sort(byKey), damaged: damaged.sort(byKey), vanished, strange } satisfies ObjectsRead
  })
