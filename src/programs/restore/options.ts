/** The command line of `netsy restore`. */
import { realpathSync } from "node:fs"
import { resolve } from "node:path"
import { parseArgs } from "node:util"
import type { Layer } from "effect"
import { millisOf, type Moment } from "../../core/log/moment.ts"
import { parseRfc3339 } from "../../core/localstore/rfc3339.ts"
import type { Denied, ObjectStore, Unavailable } from "../../services/ObjectStore.ts"
import type { StorageSettings } from "../../services/Settings.ts"
import { bucketOf } from "../bucket.ts"

export const usage = `Usage: netsy restore [--storage WORD | --config FILE] [MOMENT] (--to WORD | --file PATH)
  Writes the whole state of a moment as one file, from which a new cluster begins. Nothing in the source is changed.
  --config FILE     the cluster file (or NETSY_CONFIG)
  --storage WORD    the source instead: dir:PATH, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX
  --revision N      the moment: after everything of this revision
  --index N         after this entry of the log
  --at TIME         after the last entry of this time or before, e.g. 2026-11-21T10:00:00Z
                    default: the newest that the bucket holds
  --to WORD         writes bootstrap.netsy there: another bucket, prefix or directory, without data
  --file PATH       writes a file here, which must not exist
Takes room in TMPDIR for what a node holds on its disk, and its memory.
Exit code 0: it is written; 1: the bucket cannot give it; 2: nothing could be done.
`

type StoreLayer = Layer.Layer<ObjectStore, Unavailable | Denied>

export type Target =
  | { readonly kind: "store"; readonly store: StoreLayer; readonly word: string }
  | { readonly kind: "file"; readonly path: string }

export interface Options {
  readonly source: StoreLayer
  readonly moment: Moment
  readonly target: Target
}

const text = { type: "string" } as const

const wholeNumber = (flag: string, word: string): number => {
  const value = Number(word)
  if (/^\d+$/.test(word) && Number.isSafeInteger(value) && value > 0) return value
  throw new Error(`--${flag} is "${word}"; allowed: a whole number from 1 on`)
}

interface MomentFlags {
  readonly revision?: string | undefined
  readonly index?: string | undefined
  readonly at?: string | undefined
}

export const readMoment = ({ at, index, revision }: MomentFlags, nowMillis: number): Moment => {
  if ([at, index, revision].filter((one) => one !== undefined).length > 1)
    throw new Error("--revision, --index and --at name a moment each; give one of them")
  if (revision !== undefined) return { kind: "revision", revision: wholeNumber("revision", revision) }
  if (index !== undefined) return { kind: "index", index: wholeNumber("index", index) }
  if (at === undefined) return { kind: "newest" }
  const millis = millisOf(parseRfc3339(at))
  if (millis === undefined) throw new Error(`--at is "${at}"; allowed: a time like 2026-11-21T10:00:00Z or …+01:00`)
  if (millis > nowMillis) throw new Error(`--at is "${at}", which is in the future`)
  return { kind: "time", millis }
}

const real = (path: string): string => {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

const isSame = (a: StorageSettings, b: StorageSettings): boolean =>
  a.provider === "directory" || b.provider === "directory"
    ? a.provider === b.provider && real(a.path) === real(b.path)
    : a.provider === b.provider && a.bucketName === b.bucketName && a.keyPrefix === b.keyPrefix

const wordOf = ({ bucketName, keyPrefix, path, provider }: StorageSettings): string =>
  provider === "directory" ? `dir:${path}` : `${provider === "s3" ? "s3" : "gs"}://${bucketName}/${keyPrefix}`

/** Throws what is wrong. */
export const readOptions = (argv: ReadonlyArray<string>, nowMillis: number): Options => {
  const { values } = parseArgs({
    args: [...argv],
    options: { config: text, storage: text, revision: text, index: text, at: text, to: text, file: text }
  })
  const { config, file, storage, to } = values
  if ((to === undefined) === (file === undefined)) throw new Error("where to? Give --to WORD or --file PATH")
  const moment = readMoment(values, nowMillis)
  const configured = config === undefined ? [] : ["--config", config]
  const source = bucketOf([...configured, ...(storage === undefined ? [] : ["--storage", storage])])
  if (!source.ok) throw new Error(`${source.why}\n${source.lines}`.trimEnd())
  if (to === undefined) return { source: source.layer, moment, target: { kind: "file", path: resolve(file!) } }
  const target = bucketOf([...configured, "--storage", to], true)
  if (!target.ok) throw new Error(`--to: ${target.why}\n${target.lines}`.trimEnd())
  if (isSame(source.storage, target.storage))
    throw new Error(`--to ${to} is the source; nothing is restored into itself`)
  return {
    source: source.layer,
    moment,
    target: { kind: "store", store: target.layer, word: wordOf(target.storage) }
  }
}
