/** Single objects: get, head, put, copy. */
// A plain Node program that must show wall-clock time to S3 clients.
// @effect-diagnostics globalDate:off
import { closeSync, linkSync, readSync, rmSync } from "node:fs"
import { copyFile } from "node:fs/promises"
import { MalformedXml, readXml, writeXml, type XmlContent } from "../../core/s3/xml.ts"
import { type Body, readBody, readText } from "./body.ts"
import { type Context, headerOf, type Reply, s3Namespace, xmlReply } from "./context.ts"
import { errors, S3Error } from "./errors.ts"
import type { ObjectHeaders, ObjectMeta } from "./journal.ts"
import { iso } from "./listing.ts"
import { bucketArn, keyArn, objectArn } from "./policy.ts"
import { type Conditions, namesEtag } from "./storage.ts"

const inMemoryBytesMax = 1 << 20
const textBytesMax = 4 << 20
const viaService = "s3.us-east-1.amazonaws.com"
const storageClasses =
  /^(STANDARD|REDUCED_REDUNDANCY|STANDARD_IA|ONEZONE_IA|INTELLIGENT_TIERING|GLACIER|DEEP_ARCHIVE|GLACIER_IR|EXPRESS_ONEZONE)$/

/** Headers of a write that are kept with the object and come back with it. */
export const keptHeaders = (context: Context): ObjectHeaders => {
  const kept: Record<string, string> = {}
  for (const name of ["content-type", "cache-control", "content-disposition", "content-language", "expires"]) {
    const value = headerOf(context, name)
    if (value !== undefined) kept[name] = value
  }
  const encodings = (headerOf(context, "content-encoding") ?? "")
    .split(",")
    .map((encoding) => encoding.trim())
    .filter((encoding) => encoding !== "" && encoding !== "aws-chunked")
  if (encodings.length > 0) kept["content-encoding"] = encodings.join(",")
  for (const name of Object.keys(context.request.headers)) {
    if (name.startsWith("x-amz-meta-")) kept[name] = headerOf(context, name)!
  }
  return { ...kept, ...storageHeaders(context) }
}

/** Storage class and encryption, checked. */
const storageHeaders = (context: Context): ObjectHeaders => {
  const kept: Record<string, string> = {}
  const storageClass = headerOf(context, "x-amz-storage-class")
  if (storageClass !== undefined && !storageClasses.test(storageClass)) {
    throw new S3Error(400, "InvalidStorageClass", "The storage class you specified is not valid")
  }
  if (storageClass !== undefined && storageClass !== "STANDARD") kept["x-amz-storage-class"] = storageClass
  const encryption = headerOf(context, "x-amz-server-side-encryption")
  const kmsKey = headerOf(context, "x-amz-server-side-encryption-aws-kms-key-id")
  if (encryption !== undefined) {
    if (!/^(AES256|aws:kms|aws:kms:dsse)$/.test(encryption)) {
      throw errors.invalidArgument("The encryption method specified is not supported")
    }
    kept["x-amz-server-side-encryption"] = encryption
  }
  if (kmsKey !== undefined) {
    if (encryption === undefined || encryption === "AES256") {
      throw errors.invalidArgument("x-amz-server-side-encryption-aws-kms-key-id needs aws:kms")
    }
    kept["x-amz-server-side-encryption-aws-kms-key-id"] = kmsKey
  }
  checkKey(context, "kms:GenerateDataKey", kept)
  return kept
}

/** What is encrypted with a key of one's own, S3 writes and reads only for who may use that key. */
const checkKey = (context: Context, action: string, headers: ObjectHeaders): void => {
  const key = headers["x-amz-server-side-encryption-aws-kms-key-id"]
  if (key === undefined || context.allowed(action, keyArn(key), { "kms:ViaService": viaService })) return
  throw errors.accessDenied(action)
}

/** Headers that answer a write: the encryption that was used. */
export const encryptionOf = (meta: Pick<ObjectMeta, "headers">): ObjectHeaders =>
  Object.fromEntries(Object.entries(meta.headers).filter(([name]) => name.startsWith("x-amz-server-side-encryption")))

export const conditionsOf = (context: Context): Conditions => {
  const ifNoneMatch = headerOf(context, "if-none-match")
  if (ifNoneMatch !== undefined && ifNoneMatch.trim() !== "*") throw errors.notImplemented("If-None-Match with an ETag")
  return { ifNoneMatch, ifMatch: headerOf(context, "if-match") }
}

const checksumHeaders = (checksums: Readonly<Record<string, string>>): ObjectHeaders =>
  Object.fromEntries(Object.entries(checksums).map(([name, value]) => [`x-amz-checksum-${name}`, value]))

export const receive = (context: Context): Promise<Body> => {
  context.storage.bucket(context.bucket)
  return readBody(context.request, () => context.storage.temporaryFile())
}

export const putObject = async (context: Context): Promise<Reply> => {
  const conditions = conditionsOf(context)
  const headers = keptHeaders(context)
  const body = await receive(context)
  const { storage, bucket, key, begun } = context
  const description = { etag: body.md5, headers, checksums: body.checksums }
  const meta = await storage.put(bucket, key, body.content, description, conditions, begun, context.nowMillis())
  return {
    status: 200,
    headers: { etag: `"${meta.etag}"`, ...encryptionOf(meta), ...checksumHeaders(body.checksums) }
  }
}

/** The object, or S3's answer for a missing one: who may not list is not told that it is missing. */
const findObject = (context: Context, bucket = context.bucket, key = context.key): ObjectMeta => {
  context.storage.bucket(bucket)
  try {
    return context.storage.find(bucket, key)
  } catch (error) {
    throw context.allowed("s3:ListBucket", bucketArn(bucket)) ? error : errors.accessDenied("s3:ListBucket")
  }
}

const seconds = (millis: number): number => Math.trunc(millis / 1000)

const checkReadConditions = (meta: ObjectMeta, header: (name: string) => string | undefined): "notModified" | "go" => {
  const ifMatch = header("if-match")
  const ifNoneMatch = header("if-none-match")
  const unmodifiedSince = Date.parse(header("if-unmodified-since") ?? "")
  const modifiedSince = Date.parse(header("if-modified-since") ?? "")
  if (
    ifMatch !== undefined ? !namesEtag(ifMatch, meta.etag) : seconds(meta.modifiedMillis) > seconds(unmodifiedSince)
  ) {
    throw errors.preconditionFailed()
  }
  const unchanged =
    ifNoneMatch !== undefined
      ? namesEtag(ifNoneMatch, meta.etag)
      : seconds(meta.modifiedMillis) <= seconds(modifiedSince)
  return unchanged ? "notModified" : "go"
}

/** Undefined: the whole object (no range, or one that HTTP says to ignore). */
export const parseRange = (header: string | undefined, size: number): { start: number; end: number } | undefined => {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? "")
  if (match === null || (match[1] === "" && match[2] === "")) return undefined
  const suffix = match[1] === ""
  const start = suffix ? Math.max(0, size - Number(match[2])) : Number(match[1])
  const end = suffix || match[2] === "" ? size - 1 : Math.min(size - 1, Number(match[2]))
  if (!suffix && match[2] !== "" && Number(match[2]) < start) return undefined
  if (start >= size) {
    throw new S3Error(416, "InvalidRange", "The requested range is not satisfiable", {
      "content-range": `bytes */${size}`
    })
  }
  return { start, end }
}

const responseOverrides = [
  "content-type",
  "content-disposition",
  "content-encoding",
  "cache-control",
  "content-language",
  "expires"
]

export const getObject = (context: Context): Reply => readObject(context, true)
export const headObject = (context: Context): Reply => readObject(context, false)

const readObject = (context: Context, withBody: boolean): Reply => {
  const meta = findObject(context)
  const base = {
    etag: `"${meta.etag}"`,
    "last-modified": new Date(meta.modifiedMillis).toUTCString(),
    "accept-ranges": "bytes"
  }
  if (checkReadConditions(meta, (name) => headerOf(context, name)) === "notModified")
    return { status: 304, headers: base }
  const range = parseRange(headerOf(context, "range"), meta.size)
  const start = range?.start ?? 0
  const size = range === undefined ? meta.size : range.end - range.start + 1
  const overrides: Record<string, string> = {}
  for (const name of responseOverrides) {
    const value = context.query.get(`response-${name}`)
    if (value !== null) overrides[name] = value
  }
  const withChecksum = range === undefined && headerOf(context, "x-amz-checksum-mode")?.toUpperCase() === "ENABLED"
  const parts = /-(\d+)$/.exec(meta.etag)
  const headers = {
    "content-type": "binary/octet-stream",
    ...meta.headers,
    ...overrides,
    ...base,
    "content-length": String(size),
    ...(range === undefined ? {} : { "content-range": `bytes ${range.start}-${range.end}/${meta.size}` }),
    ...(withChecksum ? checksumHeaders(meta.checksums) : {}),
    ...(parts === null || !context.query.has("partNumber") ? {} : { "x-amz-mp-parts-count": parts[1]! })
  }
  const status = range === undefined ? 200 : 206
  if (!withBody || size === 0) return { status, headers }
  checkKey(context, "kms:Decrypt", meta.headers)
  const fd = context.storage.open(context.bucket, context.key, meta)
  if (size > inMemoryBytesMax) return { status, headers, body: { fd, start, size } }
  try {
    const body = Buffer.allocUnsafe(size)
    let read = 0
    while (read < size) {
      const count = readSync(fd, body, read, size - read, start + read)
      if (count === 0) throw new S3Error(500, "InternalError", "The stored file is shorter than it was.")
      read += count
    }
    return { status, headers, body }
  } finally {
    closeSync(fd)
  }
}

/** Bucket and key of an `x-amz-copy-source` header. */
const copySource = (context: Context): { bucket: string; key: string } => {
  const header = headerOf(context, "x-amz-copy-source") ?? ""
  let source: string
  try {
    source = decodeURIComponent(header.replace(/\?versionId=.*$/, "")).replace(/^\//, "")
  } catch {
    throw errors.invalidArgument("Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
  }
  const slash = source.indexOf("/")
  if (slash < 1 || slash === source.length - 1) {
    throw errors.invalidArgument("Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
  }
  return { bucket: source.slice(0, slash), key: source.slice(slash + 1) }
}

/** The object a copy reads, with the `x-amz-copy-source-if-*` conditions checked. */
export const findSource = (context: Context): { bucket: string; key: string; meta: ObjectMeta } => {
  const { bucket, key } = copySource(context)
  if (!context.allowed("s3:GetObject", objectArn(bucket, key))) throw errors.accessDenied("s3:GetObject")
  const meta = findObject(context, bucket, key)
  checkKey(context, "kms:Decrypt", meta.headers)
  const header = (name: string): string | undefined => headerOf(context, `x-amz-copy-source-${name}`)
  if (checkReadConditions(meta, header) === "notModified") throw errors.preconditionFailed()
  return { bucket, key, meta }
}

export const copyObject = async (context: Context): Promise<Reply> => {
  const { storage } = context
  storage.bucket(context.bucket)
  const source = findSource(context)
  const replace = headerOf(context, "x-amz-metadata-directive") === "REPLACE"
  const own = replace ? keptHeaders(context) : storageHeaders(context)
  const same = source.bucket === context.bucket && source.key === context.key
  if (same && !replace && Object.keys(own).length === 0) {
    throw errors.invalidRequest("This copy request is illegal because it is trying to copy an object to itself.")
  }
  const kept = replace ? {} : withoutStorageHeaders(source.meta.headers)
  // A second name keeps the contents while they are copied, whatever happens to the object meanwhile.
  const pin = storage.temporaryFile()
  const file = storage.temporaryFile()
  linkSync(storage.pathOf(source.bucket, source.meta), pin)
  try {
    await copyFile(pin, file)
  } finally {
    rmSync(pin)
  }
  const { etag, size, checksums } = source.meta
  const description = { etag: etag.slice(0, 32), headers: { ...kept, ...own }, checksums }
  const conditions = conditionsOf(context)
  const { bucket, key, begun } = context
  const meta = await storage.put(bucket, key, { file, size }, description, conditions, begun, context.nowMillis())
  const result: XmlContent = [
    ["LastModified", iso(meta.modifiedMillis)],
    ["ETag", `"${meta.etag}"`]
  ]
  return xmlReply(writeXml("CopyObjectResult", result, s3Namespace), encryptionOf(meta))
}

const withoutStorageHeaders = (headers: ObjectHeaders): ObjectHeaders =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name === "content-type" || !name.startsWith("x-amz-s")))

export const readXmlBody = async (context: Context, rootName: string) => {
  try {
    const root = readXml(await readText(context.request, textBytesMax))
    if (root.name !== rootName) throw errors.malformedXml(`the root element is not ${rootName}`)
    return root
  } catch (error) {
    if (error instanceof MalformedXml) throw errors.malformedXml(error.message)
    throw error
  }
}
