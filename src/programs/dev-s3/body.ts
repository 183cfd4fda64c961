/**
 * Request bodies: plain or `aws-chunked`, verified against every checksum and length the client gives. Small ones stay
 * in memory, larger ones go to a temporary file.
 */
import { createHash, type Hash } from "node:crypto"
import { closeSync, openSync, rmSync, write } from "node:fs"
import type { IncomingMessage } from "node:http"
import { promisify } from "node:util"
import { crc32 } from "node:zlib"
import { AwsChunkedDecoder, chunkBytesMin, ChunkTooSmall, MalformedChunk } from "../../core/s3/awsChunked.ts"
import { Crc64Nvme, crc32c } from "../../core/s3/checksum.ts"
import { errors, S3Error } from "./errors.ts"
import type { Content } from "./storage.ts"

const memoryBytesMax = 1 << 20
const bodyBytesMax = 5 * 2 ** 30
const writeLater = promisify(write)

export interface Body {
  readonly content: Content
  readonly size: number
  /** Hex. */
  readonly md5: string
  /** By algorithm, base64: what the client sent and we verified. */
  readonly checksums: Readonly<Record<string, string>>
}

interface Checksum {
  readonly update: (bytes: Uint8Array) => void
  readonly digest: () => string
}

const algorithms = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"] as const

const uint32Base64 = (value: number): string => {
  const out = Buffer.alloc(4)
  out.writeUInt32BE(value)
  return out.toString("base64")
}

const makeChecksum = (algorithm: string): Checksum => {
  let state = 0
  switch (algorithm) {
    case "crc32":
      return { update: (bytes) => void (state = crc32(bytes, state)), digest: () => uint32Base64(state) }
    case "crc32c":
      return { update: (bytes) => void (state = crc32c(bytes, state)), digest: () => uint32Base64(state) }
    case "crc64nvme": {
      const crc = new Crc64Nvme()
      return { update: (bytes) => crc.update(bytes), digest: () => Buffer.from(crc.digest()).toString("base64") }
    }
    default: {
      const hash = createHash(algorithm)
      return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest("base64") }
    }
  }
}

const header = (request: IncomingMessage, name: string): string | undefined => {
  const value = request.headers[name]
  return Array.isArray(value) ? value.join(",") : value
}

/** Collects pieces in memory and moves to a file when they become many. */
class Sink {
  size = 0
  readonly #pieces: Array<Buffer> = []
  #fd: number | undefined
  readonly #file: () => string
  #path = ""
  #tail: Promise<void> = Promise.resolve()

  constructor(file: () => string) {
    this.#file = file
  }

  /** Returns a promise when the caller has to wait. */
  write(piece: Buffer): Promise<unknown> | undefined {
    this.size += piece.length
    if (this.size > bodyBytesMax) {
      throw new S3Error(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
    }
    if (this.#fd === undefined) {
      this.#pieces.push(piece)
      if (this.size <= memoryBytesMax) return undefined
      this.#path = this.#file()
      this.#fd = openSync(this.#path, "wx")
      const all = Buffer.concat(this.#pieces)
      this.#pieces.length = 0
      return this.#writeAll(this.#fd, all)
    }
    return this.#writeAll(this.#fd, piece)
  }

  // One write after the other: they have no position of their own.
  #writeAll(fd: number, bytes: Buffer): Promise<void> {
    const before = this.#tail
    const all = async (): Promise<void> => {
      await before
      for (let offset = 0; offset < bytes.length;) {
        offset += (await writeLater(fd, bytes, offset, bytes.length - offset, null)).bytesWritten
      }
    }
    return (this.#tail = all())
  }

  finish(): Content {
    if (this.#fd === undefined) {
      return { bytes: this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces) }
    }
    closeSync(this.#fd)
    this.#fd = undefined
    return { file: this.#path, size: this.size }
  }

  discard(): void {
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
    if (this.#path !== "") rmSync(this.#path, { force: true })
  }
}

/** Reads, decodes and verifies the body. A body that breaks off or does not fit its checksums leaves nothing behind. */
export const readBody = async (request: IncomingMessage, temporaryFile: () => string): Promise<Body> => {
  const payloadHash = header(request, "x-amz-content-sha256")
  const encoding = header(request, "content-encoding") ?? ""
  const chunked = payloadHash?.startsWith("STREAMING-") === true || /\baws-chunked\b/.test(encoding)
  const sink = new Sink(temporaryFile)
  const md5 = createHash("md5")
  const expected = new Map<string, string>()
  for (const algorithm of algorithms) {
    const value = header(request, `x-amz-checksum-${algorithm}`)
    if (value !== undefined) expected.set(algorithm, value)
  }
  const announced = (header(request, "x-amz-trailer") ?? "")
    .split(",")
    .map((name) =>
      name
        .trim()
        .toLowerCase()
        .replace(/^x-amz-checksum-/, "")
    )
    .filter((name) => (algorithms as ReadonlyArray<string>).includes(name))
  const checksums = new Map([...expected.keys(), ...announced].map((name) => [name, makeChecksum(name)] as const))
  const sha256: Hash | undefined =
    payloadHash !== undefined && /^[0-9a-f]{64}$/.test(payloadHash) ? createHash("sha256") : undefined

  let waiting: Promise<unknown> | undefined
  const take = (data: Uint8Array): void => {
    const piece = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    md5.update(piece)
    sha256?.update(piece)
    for (const checksum of checksums.values()) checksum.update(piece)
    waiting = sink.write(piece) ?? waiting
  }
  const decoder = chunked ? new AwsChunkedDecoder(take, chunkBytesMin) : undefined
  try {
    await pieces(request, async (piece) => {
      waiting = undefined
      if (decoder === undefined) take(piece)
      else decoder.push(piece)
      if (waiting !== undefined) await waiting
    })
    decoder?.end()
    const decodedLength = header(request, chunked ? "x-amz-decoded-content-length" : "content-length")
    if (decodedLength !== undefined && Number(decodedLength) !== sink.size) {
      throw new S3Error(400, "IncompleteBody", "The body is not as long as its headers say.")
    }
    for (const name of announced) {
      const value = decoder?.trailers.get(`x-amz-checksum-${name}`)
      if (value === undefined) throw errors.invalidRequest(`the trailer x-amz-checksum-${name} is missing`)
      expected.set(name, value)
    }
    for (const [name, value] of expected) {
      if (checksums.get(name)!.digest() !== value) throw errors.badDigest(name.toUpperCase())
    }
    if (sha256 !== undefined && sha256.digest("hex") !== payloadHash) {
      throw new S3Error(400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match.")
    }
    const digest = md5.digest()
    const contentMd5 = header(request, "content-md5")
    if (contentMd5 !== undefined) {
      if (Buffer.from(contentMd5, "base64").length !== 16) {
        throw new S3Error(400, "InvalidDigest", "The Content-MD5 you specified is not valid.")
      }
      if (contentMd5 !== digest.toString("base64")) throw errors.badDigest("Content-MD5")
    }
    return {
      content: sink.finish(),
      size: sink.size,
      md5: digest.toString("hex"),
      checksums: Object.fromEntries(expected)
    }
  } catch (error) {
    sink.discard()
    if (error instanceof ChunkTooSmall) throw new S3Error(400, "InvalidChunkSizeError", error.message)
    if (error instanceof MalformedChunk) throw new S3Error(400, "IncompleteBody", error.message)
    throw error
  }
}

/** The client went away before the end of its request. */
export class RequestAborted extends Error {
  override readonly name = "RequestAborted"
}

const pieces = (request: IncomingMessage, take: (piece: Buffer) => Promise<void>): Promise<void> =>
  new Promise((resolve, reject) => {
    let last: Promise<void> = Promise.resolve()
    let failed = false
    const fail = (error: unknown): void => {
      if (failed) return
      failed = true
      // The rest is read and dropped, so that the answer reaches the client.
      request.removeListener("data", data)
      request.resume()
      last.then(
        () => reject(error),
        () => reject(error)
      )
    }
    const data = (piece: Buffer): void => {
      request.pause()
      last = take(piece)
      last.then(() => {
        if (!failed) request.resume()
      }, fail)
    }
    request.on("data", data)
    request.once("end", () => {
      if (!failed) last.then(resolve, fail)
    })
    request.once("error", fail)
    request.once("close", () => {
      if (!request.complete) fail(new RequestAborted("the client closed the connection"))
    })
  })

/** A small text body (XML, form). */
export const readText = async (request: IncomingMessage, bytesMax: number): Promise<string> => {
  const body = await readBody(request, () => {
    throw new S3Error(400, "MaxMessageLengthExceeded", "Your request was too big.")
  })
  if (!("bytes" in body.content) || body.size > bytesMax) {
    throw new S3Error(400, "MaxMessageLengthExceeded", "Your request was too big.")
  }
  return body.content.bytes.toString("utf8")
}
