/** ListBuckets and both versions of ListObjects. */
// A plain Node program that must show wall-clock time to S3 clients.
// @effect-diagnostics globalDate:off
import { pageOfKeys } from "../../core/s3/keyOrder.ts"
import { writeXml, type XmlContent } from "../../core/s3/xml.ts"
import { type Context, type Reply, s3Namespace, xmlReply } from "./context.ts"
import { errors } from "./errors.ts"

const pageKeysMax = 1000
const owner: XmlContent = [
  ["ID", "dev-s3"],
  ["DisplayName", "dev-s3"]
]

type Elements = Array<readonly [string, XmlContent]>

export const iso = (millis: number): string => new Date(millis).toISOString()

/** `encoding-type=url`: percent-encoding that leaves the slashes. */
export const urlEncoder = (context: Context): ((text: string) => string) => {
  const encoding = context.query.get("encoding-type")
  if (encoding === null) return (text) => text
  if (encoding !== "url") throw errors.invalidArgument("Invalid Encoding Method specified in Request")
  return (text) => encodeURIComponent(text).replaceAll("%2F", "/")
}

export const numberParameter = (context: Context, name: string, ceiling: number): number => {
  const text = context.query.get(name)
  if (text === null) return ceiling
  if (!/^\d{1,9}$/.test(text))
    throw errors.invalidArgument(`Argument ${name} must be an integer between 0 and 2147483647`)
  return Math.min(ceiling, Number(text))
}

export const listBuckets = (context: Context): Reply =>
  xmlReply(
    writeXml(
      "ListAllMyBucketsResult",
      [
        ["Owner", owner],
        [
          "Buckets",
          [...context.storage.buckets.values()]
            .toSorted((left, right) => (left.name < right.name ? -1 : 1))
            .map(
              (bucket) =>
                [
                  "Bucket",
                  [
                    ["Name", bucket.name],
                    ["CreationDate", iso(bucket.createdMillis)]
                  ]
                ] as const
            )
        ]
      ],
      s3Namespace
    )
  )

const decodeToken = (token: string): string => {
  const key = Buffer.from(token, "base64url").toString("utf8")
  if (token === "" || Buffer.from(key).toString("base64url") !== token) {
    throw errors.invalidArgument("The continuation token provided is incorrect")
  }
  return key
}

export const listObjects = (context: Context): Reply => {
  const { query, storage } = context
  const second = query.get("list-type") === "2"
  const bucket = storage.bucket(context.bucket)
  const prefix = query.get("prefix") ?? ""
  const delimiter = query.get("delimiter") ?? ""
  const limit = numberParameter(context, "max-keys", pageKeysMax)
  const encode = urlEncoder(context)
  const token = second ? query.get("continuation-token") : null
  const startAfter = second ? query.get("start-after") : query.get("marker")
  const after = token === null ? startAfter : decodeToken(token)
  const page = pageOfKeys(storage.keys(bucket), {
    prefix,
    limit,
    ...(delimiter === "" ? {} : { delimiter }),
    ...(after === null ? {} : { after })
  })
  const withOwner = !second || query.get("fetch-owner") === "true"
  const elements: Elements = [
    ["Name", bucket.name],
    ["Prefix", encode(prefix)]
  ]
  if (delimiter !== "") elements.push(["Delimiter", encode(delimiter)])
  if (query.get("encoding-type") !== null) elements.push(["EncodingType", "url"])
  elements.push(["MaxKeys", String(limit)], ["IsTruncated", String(page.next !== undefined)])
  if (second) {
    elements.push(["KeyCount", String(page.keys.length + page.prefixes.length)])
    if (token !== null) elements.push(["ContinuationToken", token])
    if (startAfter !== null) elements.push(["StartAfter", encode(startAfter)])
    if (page.next !== undefined) elements.push(["NextContinuationToken", Buffer.from(page.next).toString("base64url")])
  } else {
    elements.push(["Marker", encode(startAfter ?? "")])
    if (page.next !== undefined) elements.push(["NextMarker", encode(page.next)])
  }
  for (const key of page.keys) {
    const { meta } = bucket.objects.get(key)!
    const contents: Elements = [
      ["Key", encode(key)],
      ["LastModified", iso(meta.modifiedMillis)],
      ["ETag", `"${meta.etag}"`],
      ["Size", String(meta.size)],
      ["StorageClass", meta.headers["x-amz-storage-class"] ?? "STANDARD"]
    ]
    if (withOwner) contents.push(["Owner", owner])
    elements.push(["Contents", contents])
  }
  for (const rolled of page.prefixes) elements.push(["CommonPrefixes", [["Prefix", encode(rolled)]]])
  return xmlReply(writeXml("ListBucketResult", elements, s3Namespace))
}
