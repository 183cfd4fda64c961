/**
 * `netsy inspect FILE|KEY`: prints a data file as JSON lines (header, one line a record, footer, verdict), from a file or
 * straight from the configured bucket. Damage goes to standard error with the failing check and offset; exit code 1.
 */
import { createReadStream, existsSync } from "node:fs"
import * as NodeStream from "@effect/platform-node/NodeStream"
import { Effect, Schema, Stream } from "effect"
import { footerJson, headerJson, recordJson } from "../core/datafile/json.ts"
import { DataFileDamaged } from "../core/datafile/types.ts"
import { decode } from "../layers/datafile/decode.ts"
import { ObjectStore } from "../services/ObjectStore.ts"
import { bucketOf } from "./bucket.ts"

const usage = `Usage: netsy inspect [--storage STORAGE | --config FILE] FILE|KEY
  Prints a .netsy data file: header, records, footer and verdict, as JSON lines.
  What is not a file is taken for an object key of the configured storage, e.g. chunks/0001/0000000000000000001.netsy
`

/** The file could not be opened or read to its end. */
export class FileUnreadable extends Schema.TaggedError<FileUnreadable>()("FileUnreadable", {
  path: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.path}: ${this.reason}`
  }
}

export interface Output {
  /** Whole lines, without the line end. */
  readonly out: (line: string) => void
  readonly error: (line: string) => void
  /** Waits until what was printed has been taken. */
  readonly drained: Effect.Effect<void>
}

/** Prints the file that `bytes` are. Exit code: 0 when it is whole, 1 when it is damaged or cannot be read. */
export const inspectStream = <E extends { readonly message: string }, R>(
  source: string,
  bytes: Stream.Stream<Uint8Array, E, R>,
  output: Output
): Effect.Effect<number, never, R> => {
  let term = 0
  return bytes.pipe(
    decode(source),
    Stream.runForEach((part) =>
      Effect.suspend(() => {
        if (part.kind === "header") {
          term = part.header.term
          output.out(JSON.stringify({ header: headerJson(part.header) }))
        } else if (part.kind === "records") {
          for (const record of part.records) output.out(JSON.stringify(recordJson(record, term)))
        } else {
          const { footer, recordsCount, trailingBytes } = part.end
          output.out(JSON.stringify({ footer: footerJson(footer) }))
          output.out(
            JSON.stringify({ verdict: "ok", records: recordsCount, ...(trailingBytes > 0 ? { trailingBytes } : {}) })
          )
          if (trailingBytes > 0)
            output.error(`netsy inspect: ${source}: ${trailingBytes} bytes follow the footer; readers ignore them`)
        }
        return output.drained
      })
    ),
    Effect.as(0),
    Effect.catch((error) =>
      Effect.sync(() => {
        if (error instanceof DataFileDamaged) {
          const { check, offset, decompressed } = error
          output.out(JSON.stringify({ verdict: "damaged", check, offset, ...(decompressed ? { decompressed } : {}) }))
        }
        output.error(`netsy inspect: ${error.message}`)
        return 1
      })
    )
  )
}

const fileBytes = (path: string): Stream.Stream<Uint8Array, FileUnreadable> =>
  NodeStream.fromReadable<Uint8Array, FileUnreadable>({
    evaluate: () => createReadStream(path),
    onError: (error) => new FileUnreadable({ path, reason: error instanceof Error ? error.message : String(error) })
  })

/** The same for an object of the bucket. */
export const inspectKey = (key: string, output: Output): Effect.Effect<number, never, ObjectStore> =>
  Effect.gen(function* () {
    const store = yield* ObjectStore
    return yield* inspectStream(key, Stream.unwrap(Effect.map(store.getStream(key), ({ body }) => body)), output)
  })

export const standard: Output = {
  out: (line) => process.stdout.write(`${line}\n`),
  error: (line) => process.stderr.write(`${line}\n`),
  drained: Effect.callback<void>((resume) => {
    if (!process.stdout.writableNeedDrain) return resume(Effect.void)
    process.stdout.once("drain", () => resume(Effect.void))
  })
}

/** The subcommand; sets the exit code of the process. */
export const inspect = (argv: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.gen(function* () {
    const target = argv[argv.length - 1]
    if (target === undefined || target.startsWith("-")) {
      process.stderr.write(usage)
      process.exitCode = target === "--help" || target === "-h" ? 0 : 1
      return
    }
    if (existsSync(target)) {
      process.exitCode = yield* inspectStream(target, fileBytes(target), standard)
      return
    }
    const bucket = bucketOf(argv.slice(0, -1))
    if (!bucket.ok) {
      process.stderr.write(
        bucket.lines === ""
          ? `netsy inspect: ${target} is not a file, and ${bucket.why}\n`
          : `netsy inspect: ${target} is not a file, and there is no storage to look for it as a key\n${bucket.lines}`
      )
      process.exitCode = 1
      return
    }
    process.exitCode = yield* inspectKey(target, standard).pipe(
      Effect.provide(bucket.layer),
      Effect.catch((error) =>
        Effect.sync(() => {
          process.stderr.write(`netsy inspect: ${error.message}\n`)
          return 1
        })
      )
    )
  })
