/** A data file as a stream of decoded parts, checked as it goes; only one message and one piece are in memory. */
import { Effect, Stream } from "effect"
import * as Pull from "effect/Pull"
import { BodyReader, type FileEnd, HeaderReader, type ReadOptions } from "../../core/datafile/reader.ts"
import { DataFileDamaged, FileCompression, type FileHeader } from "../../core/datafile/types.ts"
import type { LogRecord } from "../../core/log/record.ts"
import { decompress } from "./zstd.ts"

export type Part =
  | { readonly kind: "header"; readonly header: FileHeader; readonly bodyOffset: number }
  | { readonly kind: "records"; readonly records: ReadonlyArray<LogRecord> }
  | { readonly kind: "end"; readonly end: FileEnd }

/** What a decoder throws as a failure; everything else is a defect. */
export const attempt = <A>(run: () => A): Effect.Effect<A, DataFileDamaged> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(run())
    } catch (error) {
      return error instanceof DataFileDamaged ? Effect.fail(error) : Effect.die(error)
    }
  })

/** Header first, then records, then the end; the end comes only after every check. `source` names the file in errors. */
export const decode =
  (source: string, options: ReadOptions = {}) =>
  <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Part, E | DataFileDamaged, R> =>
    Stream.unwrap(
      Effect.gen(function* () {
        const pull = yield* Stream.toPull(bytes)
        const reader = new HeaderReader(source, options)
        let behind: ReadonlyArray<Uint8Array> = []
        while (reader.header === undefined) {
          const pieces = yield* pull.pipe(Pull.catchDone(() => Effect.fail(reader.truncated())))
          let next = 0
          while (next < pieces.length && reader.header === undefined) {
            const piece = pieces[next++]!
            yield* attempt(() => reader.push(piece))
          }
          behind = pieces.slice(next)
        }
        const { header } = reader
        const first: Part = { kind: "header", header, bodyOffset: reader.bodyOffset }
        const rest = Stream.concat(
          Stream.fromIterable([reader.rest(), ...behind], { chunkSize: 1 }),
          Stream.fromPull(Effect.succeed(pull))
        )
        return Stream.concat(Stream.succeed(first), body(source, header, reader.bodyOffset, options, rest))
      })
    )

const body = <E, R>(
  source: string,
  header: FileHeader,
  offset: number,
  options: ReadOptions,
  rest: Stream.Stream<Uint8Array, E, R>
): Stream.Stream<Part, E | DataFileDamaged, R> => {
  const reader = new BodyReader(source, header, offset, options)
  const records = (plain: Stream.Stream<Uint8Array, E | DataFileDamaged, R>) =>
    plain.pipe(
      Stream.mapEffect((piece) => attempt(() => reader.push(piece))),
      Stream.filter((found) => found.length > 0),
      Stream.map((found): Part => ({ kind: "records", records: found }))
    )
  let behindFrames = 0
  const end = Stream.fromEffect(
    attempt((): Part => {
      const found = reader.finish()
      return { kind: "end", end: { ...found, trailingBytes: found.trailingBytes + behindFrames } }
    })
  )
  if (header.compression === FileCompression.None) return Stream.concat(records(rest), end)
  const damage = (reason: string) =>
    reason === "unexpected end of file"
      ? new DataFileDamaged(source, "truncated", reader.offset, true, "the zstd stream ends too early")
      : new DataFileDamaged(source, "zstd", reader.offset, true, reason)
  const trailing = (bytes: number): void => {
    behindFrames = bytes
  }
  return Stream.concat(records(rest.pipe(decompress(damage, trailing))), end)
}
