/** The zstd side of data files: a chunk's body at once, streams for everything else. Checksums on, as Netsy's encoder has. */
import { constants, createZstdCompress, createZstdDecompress, zstdCompress } from "node:zlib"
import { NodeStream } from "@effect/platform-node"
import { Effect, Stream } from "effect"
import type { EncodedChunk } from "../../core/datafile/writer.ts"

const compressOptions = { params: { [constants.ZSTD_c_checksumFlag]: 1 } }

/** The object's body of an encoded chunk. Compression runs outside the main thread. */
export const chunkBody = (chunk: EncodedChunk): Effect.Effect<Uint8Array> => {
  if (!chunk.compress) return Effect.succeed(chunk.bytes)
  return Effect.callback<Uint8Array>((resume) => {
    zstdCompress(chunk.bytes.subarray(chunk.headerBytes), compressOptions, (error, frame) => {
      if (error !== null) return resume(Effect.die(error))
      const body = new Uint8Array(chunk.headerBytes + frame.length)
      body.set(chunk.bytes.subarray(0, chunk.headerBytes))
      body.set(frame, chunk.headerBytes)
      resume(Effect.succeed(body))
    })
  })
}

/** One frame out of a stream of pieces. */
export const compress = <E>(body: Stream.Stream<Uint8Array, E>): Stream.Stream<Uint8Array, E> =>
  body.pipe(
    NodeStream.pipeThroughDuplex({
      evaluate: () => createZstdCompress(compressOptions),
      onError: (error) => error as never,
      chunkSize: 1
    })
  )

/** All frames of a stream, one after the other. `onError` gets what the decompressor says of a damaged one. */
export const decompress =
  <E2>(onError: (reason: string) => E2) =>
  <E, R>(body: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Uint8Array, E | E2, R> =>
    body.pipe(
      NodeStream.pipeThroughDuplex<Uint8Array, E2>({
        evaluate: () => createZstdDecompress(),
        onError: (error) => onError(error instanceof Error ? error.message : String(error)),
        chunkSize: 1
      })
    )
