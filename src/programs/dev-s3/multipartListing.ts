/** ListParts and ListMultipartUploads. */
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { writeXml, type XmlContent } from "../../core/s3/xml.ts"
import { type Context, type Reply, s3Namespace, xmlReply } from "./context.ts"
import { iso, numberParameter, urlEncoder } from "./listing.ts"
import { partsOf, readUpload, type Upload, uploadOf } from "./multipart.ts"

const pageMax = 1000

export const listParts = (context: Context): Reply => {
  const { folder } = uploadOf(context)
  const limit = numberParameter(context, "max-parts", pageMax)
  const marker = Number(context.query.get("part-number-marker") ?? 0)
  const rest = partsOf(folder).filter((part) => part.number > marker)
  const page = rest.slice(0, limit)
  const elements: Array<readonly [string, XmlContent]> = [
    ["Bucket", context.bucket],
    ["Key", context.key],
    ["UploadId", context.query.get("uploadId")!],
    ["PartNumberMarker", String(marker)],
    ["NextPartNumberMarker", String(page.at(-1)?.number ?? 0)],
    ["MaxParts", String(limit)],
    ["IsTruncated", String(rest.length > page.length)],
    ["StorageClass", "STANDARD"]
  ]
  for (const part of page) {
    elements.push([
      "Part",
      [
        ["PartNumber", String(part.number)],
        ["LastModified", iso(part.modifiedMillis)],
        ["ETag", `"${part.etag}"`],
        ["Size", String(part.size)]
      ]
    ])
  }
  return xmlReply(writeXml("ListPartsResult", elements, s3Namespace))
}

export const listMultipartUploads = (context: Context): Reply => {
  const { storage, query } = context
  storage.bucket(context.bucket)
  const prefix = query.get("prefix") ?? ""
  const keyMarker = query.get("key-marker") ?? ""
  const idMarker = query.get("upload-id-marker") ?? ""
  const limit = numberParameter(context, "max-uploads", pageMax)
  const encode = urlEncoder(context)
  const all: Array<Upload & { readonly id: string }> = []
  for (const id of readdirSync(storage.uploadsFolder)) {
    const upload = readUpload(join(storage.uploadsFolder, id))
    if (upload?.bucket === context.bucket && upload.key.startsWith(prefix)) all.push({ ...upload, id })
  }
  const rest = all
    .filter((each) => each.key > keyMarker || (each.key === keyMarker && idMarker !== "" && each.id > idMarker))
    .toSorted((left, right) => (left.key < right.key || (left.key === right.key && left.id < right.id) ? -1 : 1))
  const page = rest.slice(0, limit)
  const last = page.at(-1)
  const elements: Array<readonly [string, XmlContent]> = [
    ["Bucket", context.bucket],
    ["KeyMarker", encode(keyMarker)],
    ["UploadIdMarker", idMarker],
    ["NextKeyMarker", encode(last?.key ?? "")],
    ["NextUploadIdMarker", last?.id ?? ""],
    ["Prefix", encode(prefix)],
    ["MaxUploads", String(limit)],
    ["IsTruncated", String(rest.length > page.length)]
  ]
  for (const upload of page) {
    elements.push([
      "Upload",
      [
        ["Key", encode(upload.key)],
        ["UploadId", upload.id],
        ["StorageClass", upload.headers["x-amz-storage-class"] ?? "STANDARD"],
        ["Initiated", iso(upload.initiatedMillis)]
      ]
    ])
  }
  return xmlReply(writeXml("ListMultipartUploadsResult", elements, s3Namespace))
}
