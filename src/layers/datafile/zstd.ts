/** The zstd side of data files: a chunk's body at once, reading as a stream. Checksums on, as Netsy's encoder has. */
import { Transform, type TransformCallback } from "node:stream"
import { constants, createZstdDecompress, zstdCompress, zstdCompressSync } from "node:zlib"
import * as NodeStream from "@effect/platform-node/NodeStream"
import { Effect, type Stream } from "effect"
import type { EncodedChunk } from "../../core/datafile/writer.ts"
import { type FrameRun, ZstdFrames } from "../../core/datafile/zstdFrames.ts"

/** For whoever compresses a stream, as the Snapshotter does. */
export const compressOptions = { params: { [constants.ZSTD_c_checksumFlag]: 1 } }

/** Up to here compressing at once (about 0.5 ms) costs the main thread less than handing it over does. */
const atOnceBytesMax = 64 * 1024

/** The object's body of an encoded chunk. Large ones are compressed outside the main thread. */
export const chunkBody = (chunk: EncodedChunk): Effect.Effect<Uint8Array> => {
  if (!chunk.compress) return Effect.succeed(chunk.bytes)
  const plain = chunk.bytes.subarray(chunk.headerBytes)
  const withFrame = (frame: Uint8Array): Uint8Array => {
    const body = new Uint8Array(chunk.headerBytes + frame.length)
    body.set(chunk.bytes.subarray(0, chunk.headerBytes))
    body.set(frame, chunk.headerBytes)
    return body
  }
  if (plain.length <= atOnceBytesMax) return Effect.sync(() => withFrame(zstdCompressSync(plain, compressOptions)))
  return Effect.callback<Uint8Array>((resume) => {
    zstdCompress(plain, compressOptions, (error, frame) => {
      resume(error === null ? Effect.succeed(withFrame(frame)) : Effect.die(error))
    })
  })
}

/** Decompresses frame after frame; passes the reader's pace on to the decompressor, so that little is in memory. */
class DecompressFrames extends Transform {
  private readonly frames = new ZstdFrames()
  private decompressor: Transform | undefined
  private readonly onTrailing: (bytes: number) => void

  constructor(onTrailing: (bytes: number) => void) {
    super()
    this.onTrailing = onTrailing
  }

  override _transform(piece: Uint8Array, _encoding: BufferEncoding, done: TransformCallback): void {
    let runs: ReadonlyArray<FrameRun>
    try {
      runs = this.frames.push(piece)
    } catch (error) {
      return done(error as Error)
    }
    let next = 0
    const step = (error?: Error | null): void => {
      if (error) return done(error)
      const run = runs[next++]
      if (run === undefined) return done()
      this.feed(piece.subarray(run.start, run.end), run.last, step)
    }
    step()
  }

  override _flush(done: TransformCallback): void {
    this.onTrailing(this.frames.trailingBytes)
    done(this.frames.between ? null : new Error("unexpected end of file"))
  }

  override _read(size: number): void {
    this.decompressor?.resume()
    super._read(size)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.decompressor?.destroy()
    done(error)
  }

  private feed(bytes: Uint8Array, last: boolean, done: (error?: Error | null) => void): void {
    const decompressor = (this.decompressor ??= this.open())
    // Called once: by the error, or when the bytes are through.
    let finished = false
    const finish = (error?: Error | null): void => {
      if (finished) return
      finished = true
      decompressor.off("error", finish)
      done(error)
    }
    decompressor.on("error", finish)
    if (!last) {
      decompressor.write(bytes, finish)
      return
    }
    decompressor.once("end", () => {
      this.decompressor = undefined
      finish()
    })
    decompressor.end(bytes)
  }

  private open(): Transform {
    const decompressor = createZstdDecompress() as unknown as Transform
    // `feed` waits for errors; one that comes after it has been answered already.
    decompressor.on("error", () => {})
    decompressor.on("data", (bytes: Uint8Array) => {
      if (!this.push(bytes)) decompressor.pause()
    })
    return decompressor
  }
}

/**
 * All frames of a stream, one after the other. `onError` gets what is wrong with a damaged one, `onTrailing` the number
 * of bytes behind the last one.
 */
export const decompress =
  <E2>(onError: (reason: string) => E2, onTrailing: (bytes: number) => void) =>
  <E, R>(body: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Uint8Array, E | E2, R> =>
    body.pipe(
      NodeStream.pipeThroughDuplex<Uint8Array, E2>({
        evaluate: () => new DecompressFrames(onTrailing),
        onError: (error) => onError(error instanceof Error ? error.message : String(error)),
        chunkSize: 1
      })
    )
