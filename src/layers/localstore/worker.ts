/**
 * The one thread that touches the database. Requests are served one after another in the order in which they arrive.
 * After a write has failed, every later write fails too: what the disk holds is no longer what the requests build on.
 */
import { parentPort } from "node:worker_threads"
import { assert, InvariantViolation } from "../../core/assert.ts"
import { emptyFrame, type Frame } from "../../core/localstore/frame.ts"
import { Compaction } from "./compaction.ts"
import { isDamageFoundLate, reasonOf, Unusable } from "./errors.ts"
import { damagedNote, importNote, removeNote, writeNote } from "./files.ts"
import type { Netsy1Reader } from "./netsy1.ts"
import { type OpenDatabase, openDatabase } from "./opening.ts"
import {
  boundsNumbers,
  type Failure,
  type OpenedFacts,
  type Reply,
  type Request,
  type RequestName
} from "./protocol.ts"
import { Reads, View } from "./reads.ts"
import { Space } from "./space.ts"
import { Writes } from "./writes.ts"

const viewsMax = 8

interface Answer {
  readonly numbers?: ReadonlyArray<number>
  readonly text?: string
  readonly frame?: Frame
}

const done: Answer = {}

interface Session {
  readonly file: string
  readonly open: OpenDatabase
  readonly writes: Writes
  readonly reads: Reads
  readonly compaction: Compaction
  readonly space: Space
  readonly views: Map<number, View>
}

let session: Session | undefined
let brokenBy: string | undefined

const writing: ReadonlySet<RequestName> = new Set<RequestName>([
  "append",
  "truncateFrom",
  "clear",
  "restore",
  "promise",
  "newIncarnation",
  "statePart",
  "compactBegin",
  "compactStep",
  "spaceStep",
  "spaceEnd",
  "importDone",
  "setMeta"
])

const open = (request: Request): Answer => {
  const [file, stamp, incarnation] = JSON.parse(request.text) as [string, string, string]
  const opened = openDatabase({ file, stamp, incarnation })
  const writes = new Writes(opened.db, opened)
  session = {
    file,
    open: opened,
    writes,
    reads: new Reads(opened.db),
    compaction: new Compaction(opened.db, writes),
    space: new Space(opened.db, file),
    views: new Map()
  }
  const { imported } = opened
  const facts: OpenedFacts = {
    incarnation: writes.node.incarnation,
    starts: writes.node.starts,
    fenced: writes.promises.fenced,
    reigned: writes.promises.reigned,
    setAside: opened.setAside ?? null,
    imported:
      imported === undefined
        ? null
        : { path: imported.file, count: imported.count, lastRevision: imported.lastRevision, floor: imported.floor }
  }
  return { text: JSON.stringify(facts), numbers: boundsNumbers(writes.log) }
}

const serve = ({ compaction, file, open, reads, space, views, writes }: Session, request: Request): Answer => {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = request.numbers
  const frame: Frame = request.buffer === undefined ? emptyFrame : { buffer: request.buffer, length: request.length }
  switch (request.name) {
    case "append":
      writes.append(frame, a)
      return done
    case "bounds":
      return { numbers: boundsNumbers(writes.log) }
    case "truncateFrom":
      writes.truncateFrom(a)
      return done
    case "clear":
      compaction.abort()
      writes.clear()
      return done
    case "restore":
      writes.restore(frame, request.numbers.length === 0 ? undefined : { index: a, term: b, revision: c }, d)
      return done
    case "entries":
      return { frame: reads.entries(writes.log, a, b, c) }
    case "termAt": {
      const term = reads.termAt(writes.log, a)
      return { numbers: term === undefined ? [] : [term] }
    }
    case "changes":
      return { frame: reads.changes(a, b, c) }
    case "versions": {
      const { found, frame: versions } = reads.versions(frame)
      return { frame: versions, numbers: found }
    }
    case "viewOpen": {
      if (views.size >= viewsMax) throw new Unusable(`${viewsMax} views are open already`)
      const view = new View(file, b, c)
      views.set(a, view)
      return { numbers: [view.count, view.count - view.opCount] }
    }
    case "viewNext": {
      const view = views.get(a)
      assert(view !== undefined, "a view is not read after its end")
      const page = view.next(b, c)
      return { frame: page.frame, numbers: [page.done ? 1 : 0] }
    }
    case "viewClose":
      views.get(a)?.close()
      views.delete(a)
      return done
    case "promise":
      writes.promise({ fenced: a, reigned: b })
      return done
    case "newIncarnation":
      writes.newIncarnation(request.text)
      return done
    case "abandon":
      writeNote(damagedNote(file), request.text)
      return done
    case "statePart":
      writes.state.putPart(a, Buffer.from(frame.buffer, 0, frame.length))
      return done
    case "compactBegin":
      // The state's index is 0 where there is none.
      compaction.begin(a, d === 0 ? undefined : { index: d, term: e, revision: f }, g, h, {
        keepAbove: b,
        forgetUpTo: c
      })
      return done
    case "compactStep": {
      const step = compaction.step(a)
      return { numbers: [step.removed, step.done ? 1 : 0] }
    }
    case "spaceStep":
      return { numbers: [space.step(a) ? 1 : 0] }
    case "spaceEnd":
      space.checkpoint("TRUNCATE")
      return done
    case "readImported":
      return open.imported === undefined ? done : { frame: readImported(open.imported, a, b) }
    case "importDone":
      removeNote(importNote(file))
      return done
    case "getMeta": {
      const value = writes.facts.get(request.text)
      return value === undefined ? done : { numbers: [1], frame: copyOf(value) }
    }
    case "setMeta":
      writes.facts.set(request.text, Buffer.from(frame.buffer, 0, frame.length))
      return done
    case "size": {
      const { inUse, total } = space.size()
      return { numbers: [total, inUse] }
    }
    case "open":
    case "close":
      throw new Unusable("the database is open already")
  }
}

/** Whatever is wrong with the old database, ours is not to blame and not to be set aside. */
const readImported = (old: Netsy1Reader, fromRevision: number, maxRecords: number): Frame => {
  try {
    return old.read(fromRevision, maxRecords)
  } catch (error) {
    throw new Unusable(reasonOf(error), old.file)
  }
}

const copyOf = (bytes: Uint8Array): Frame => {
  const buffer = new ArrayBuffer(bytes.length)
  new Uint8Array(buffer).set(bytes)
  return { buffer, length: bytes.length }
}

/** Views first: a checkpoint cannot pass a reader. The lock goes last. */
const close = (): Answer => {
  if (session === undefined) return done
  const { open, views } = session
  session = undefined
  for (const view of views.values()) view.close()
  open.imported?.close()
  try {
    open.db.pragma("wal_checkpoint(TRUNCATE)")
  } finally {
    open.db.close()
    open.lock.close()
  }
  return done
}

const answer = (request: Request): Answer => {
  if (request.name === "open" && session === undefined) return open(request)
  if (request.name === "close") return close()
  if (session === undefined) throw new Unusable("the database is not open")
  if (!writing.has(request.name)) return serve(session, request)
  if (brokenBy !== undefined) throw new Unusable(`an earlier write failed: ${brokenBy}`)
  try {
    return serve(session, request)
  } catch (error) {
    if (!(error instanceof InvariantViolation)) brokenBy = reasonOf(error)
    throw error
  }
}

const failureOf = (error: unknown): Failure => {
  if (error instanceof InvariantViolation) return { kind: "defect", path: "", reason: error.message }
  let reason = reasonOf(error)
  if (session !== undefined && isDamageFoundLate(error)) {
    try {
      writeNote(damagedNote(session.file), reason)
      reason += "; the next start sets the database aside"
    } catch (unwritten) {
      reason += `; and the note of it could not be written: ${reasonOf(unwritten)}`
    }
  }
  return { kind: "failed", path: error instanceof Unusable && error.path !== undefined ? error.path : "", reason }
}

const reply = (id: number, { frame, numbers = [], text = "" }: Answer, failure?: Failure): void => {
  const message: Reply = { id, numbers, text, buffer: frame?.buffer, length: frame?.length ?? 0, failure }
  parentPort!.postMessage(message, frame === undefined ? [] : [frame.buffer])
}

parentPort!.on("message", (request: Request) => {
  try {
    reply(request.id, answer(request))
  } catch (error) {
    reply(request.id, done, failureOf(error))
  }
})
