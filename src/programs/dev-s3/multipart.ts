/** Multipart uploads: parts are files in `.dev-s3/uploads/ID/`, named by number and ETag, so they survive a restart. */
import { createHash, randomBytes } from "node:crypto"
import {
  closeSync,
  existsSync,
  mkdirSync,
  read,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { open } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { childText, writeXml, type XmlContent } from "../../core/s3/xml.ts"
import { type Context, headerOf, type Reply, s3Namespace, xmlReply } from "./context.ts"
import { errors, S3Error } from "./errors.ts"
import type { ObjectHeaders } from "./journal.ts"
import { iso } from "./listing.ts"
import { conditionsOf, encryptionOf, findSource, keptHeaders, parseRange, readXmlBody, receive } from "./objects.ts"
import type { Content } from "./storage.ts"

const partNumberMax = 10_000
const partBytesMin = 5 * 2 ** 20
const description = "upload.json"
const copyPieceBytes = 1 << 20
const readLater = promisify(read)

export interface Upload {
  readonly bucket: string
  readonly key: string
  readonly headers: ObjectHeaders
  readonly initiatedMillis: number
}

interface Part {
  readonly number: number
  readonly etag: string
  readonly path: string
  readonly size: number
  readonly modifiedMillis: number
}

const folderOf = (context: Context): string => {
  const id = context.query.get("uploadId") ?? ""
  if (!/^[0-9a-f]{32}$/.test(id)) throw errors.noSuchUpload()
  return join(context.storage.uploadsFolder, id)
}

export const readUpload = (folder: string): Upload | undefined => {
  const file = join(folder, description)
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Upload) : undefined
}

export const uploadOf = (context: Context): { readonly folder: string; readonly upload: Upload } => {
  const folder = folderOf(context)
  const upload = readUpload(folder)
  if (upload === undefined || upload.bucket !== context.bucket || upload.key !== context.key)
    throw errors.noSuchUpload()
  return { folder, upload }
}

export const partsOf = (folder: string): ReadonlyArray<Part> =>
  readdirSync(folder)
    .filter((name) => /^\d{5}-[0-9a-f]{32}$/.test(name))
    .toSorted()
    .map((name) => {
      const path = join(folder, name)
      const stat = statSync(path)
      return {
        number: Number(name.slice(0, 5)),
        etag: name.slice(6),
        path,
        size: stat.size,
        modifiedMillis: Math.trunc(stat.mtimeMs)
      }
    })

export const createMultipartUpload = (context: Context): Reply => {
  const { storage, bucket, key } = context
  storage.bucket(bucket)
  const headers = keptHeaders(context)
  const id = randomBytes(16).toString("hex")
  const folder = join(storage.uploadsFolder, id)
  mkdirSync(folder)
  const upload: Upload = { bucket, key, headers, initiatedMillis: context.nowMillis() }
  writeFileSync(join(folder, `${description}.new`), JSON.stringify(upload))
  renameSync(join(folder, `${description}.new`), join(folder, description))
  const result: XmlContent = [
    ["Bucket", bucket],
    ["Key", key],
    ["UploadId", id]
  ]
  return xmlReply(writeXml("InitiateMultipartUploadResult", result, s3Namespace), encryptionOf({ headers }))
}

const takePart = (context: Context, folder: string, content: Content, etag: string): void => {
  const number = Number(context.query.get("partNumber"))
  let from: string
  if ("file" in content) from = content.file
  else {
    from = context.storage.temporaryFile()
    writeFileSync(from, content.bytes)
  }
  const name = `${String(number).padStart(5, "0")}-${etag}`
  const older = partsOf(folder).filter((part) => part.number === number && part.path !== join(folder, name))
  renameSync(from, join(folder, name))
  for (const part of older) rmSync(part.path)
}

const checkPartNumber = (context: Context): void => {
  const number = Number(context.query.get("partNumber"))
  if (!Number.isInteger(number) || number < 1 || number > partNumberMax) {
    throw errors.invalidArgument(`Part number must be an integer between 1 and ${partNumberMax}, inclusive`)
  }
}

export const uploadPart = async (context: Context): Promise<Reply> => {
  checkPartNumber(context)
  uploadOf(context)
  const body = await receive(context)
  const { folder, upload } = uploadOf(context)
  takePart(context, folder, body.content, body.md5)
  const checksums = Object.entries(body.checksums).map(([name, value]) => [`x-amz-checksum-${name}`, value] as const)
  return { status: 200, headers: { etag: `"${body.md5}"`, ...encryptionOf(upload), ...Object.fromEntries(checksums) } }
}

export const uploadPartCopy = async (context: Context): Promise<Reply> => {
  checkPartNumber(context)
  uploadOf(context)
  const source = findSource(context)
  const range = parseRange(headerOf(context, "x-amz-copy-source-range"), source.meta.size)
  const fd = context.storage.open(source.bucket, source.key, source.meta)
  const file = context.storage.temporaryFile()
  let written: { readonly size: number; readonly md5: string }
  try {
    written = await copyRange(fd, range ?? { start: 0, end: source.meta.size - 1 }, file)
  } finally {
    closeSync(fd)
  }
  takePart(context, uploadOf(context).folder, { file, size: written.size }, written.md5)
  const result: XmlContent = [
    ["LastModified", iso(context.nowMillis())],
    ["ETag", `"${written.md5}"`]
  ]
  return xmlReply(writeXml("CopyPartResult", result, s3Namespace))
}

const copyRange = async (
  fd: number,
  range: { readonly start: number; readonly end: number },
  to: string
): Promise<{ readonly size: number; readonly md5: string }> => {
  const md5 = createHash("md5")
  const target = await open(to, "wx")
  const piece = Buffer.allocUnsafe(copyPieceBytes)
  let position = range.start
  try {
    while (position <= range.end) {
      const wanted = Math.min(piece.length, range.end - position + 1)
      const count = (await readLater(fd, piece, 0, wanted, position)).bytesRead
      if (count === 0) break
      md5.update(piece.subarray(0, count))
      await target.writeFile(piece.subarray(0, count))
      position += count
    }
  } finally {
    await target.close()
  }
  return { size: position - range.start, md5: md5.digest("hex") }
}

/** The parts the client names, checked against those that are there. */
const chosenParts = async (context: Context, folder: string): Promise<ReadonlyArray<Part>> => {
  const root = await readXmlBody(context, "CompleteMultipartUpload")
  const stored = new Map(partsOf(folder).map((part) => [part.number, part]))
  const wanted = root.children.filter((element) => element.name === "Part")
  if (wanted.length === 0) throw errors.malformedXml("no Part")
  let previous = 0
  const chosen = wanted.map((element) => {
    const number = Number(childText(element, "PartNumber"))
    const etag = (childText(element, "ETag") ?? "").trim().replaceAll('"', "")
    if (!(number > previous)) {
      throw new S3Error(400, "InvalidPartOrder", "The list of parts was not in ascending order.")
    }
    previous = number
    const part = stored.get(number)
    if (part === undefined || part.etag !== etag) {
      throw new S3Error(400, "InvalidPart", "One or more of the specified parts could not be found.")
    }
    return part
  })
  if (chosen.some((part, index) => part.size < partBytesMin && index < chosen.length - 1)) {
    throw new S3Error(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
  }
  return chosen
}

export const completeMultipartUpload = async (context: Context): Promise<Reply> => {
  const { storage, bucket, key, begun } = context
  const { folder, upload } = uploadOf(context)
  const parts = await chosenParts(context, folder)
  const file = storage.temporaryFile()
  const md5 = createHash("md5")
  const target = await open(file, "wx")
  let size = 0
  try {
    for (const part of parts) {
      const source = await open(part.path, "r")
      try {
        await target.writeFile(source.createReadStream({ autoClose: false, highWaterMark: copyPieceBytes }))
      } finally {
        await source.close()
      }
      md5.update(Buffer.from(part.etag, "hex"))
      size += part.size
    }
  } finally {
    await target.close()
  }
  const etag = `${md5.digest("hex")}-${parts.length}`
  const object = { etag, headers: upload.headers, checksums: {} }
  const meta = await storage.put(bucket, key, { file, size }, object, conditionsOf(context), begun, context.nowMillis())
  rmSync(folder, { recursive: true, force: true })
  const result: XmlContent = [
    ["Location", `/${bucket}/${key}`],
    ["Bucket", bucket],
    ["Key", key],
    ["ETag", `"${meta.etag}"`]
  ]
  return xmlReply(writeXml("CompleteMultipartUploadResult", result, s3Namespace), encryptionOf(meta))
}

export const abortMultipartUpload = (context: Context): Reply => {
  rmSync(uploadOf(context).folder, { recursive: true, force: true })
  return { status: 204 }
}
