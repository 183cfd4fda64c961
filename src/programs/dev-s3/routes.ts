/** Which operation a request is: method, path and query to S3's operations and their IAM names. */
import type { IncomingMessage } from "node:http"
import { writeXml } from "../../core/s3/xml.ts"
import { type Context, type Operation, type Reply, s3Namespace, xmlReply } from "./context.ts"
import { deleteObject, deleteObjects } from "./deletions.ts"
import { errors, S3Error } from "./errors.ts"
import { listBuckets, listObjects } from "./listing.ts"
import {
  abortMultipartUpload,
  completeMultipartUpload,
  createMultipartUpload,
  uploadPart,
  uploadPartCopy
} from "./multipart.ts"
import { listMultipartUploads, listParts } from "./multipartListing.ts"
import { copyObject, getObject, headObject, putObject, readXmlBody } from "./objects.ts"
import { sts } from "./sts.ts"

const operation = (
  name: string,
  action: string,
  group: Operation["group"],
  run: (context: Context) => Reply | Promise<Reply>
): Operation => ({ name, action, group, run })

const createBucket = async (context: Context): Promise<Reply> => {
  if (Number(context.request.headers["content-length"] ?? 0) > 0) {
    await readXmlBody(context, "CreateBucketConfiguration")
  }
  if (!context.storage.createBucket(context.bucket)) {
    throw new S3Error(409, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded.")
  }
  return { status: 200, headers: { location: `/${context.bucket}` } }
}

const deleteBucket = (context: Context): Reply => {
  if (context.storage.bucket(context.bucket).objects.size > 0) {
    throw new S3Error(409, "BucketNotEmpty", "The bucket you tried to delete is not empty")
  }
  context.storage.deleteBucket(context.bucket)
  return { status: 204 }
}

const headBucket = (context: Context): Reply => {
  context.storage.bucket(context.bucket)
  return { status: 200, headers: { "x-amz-bucket-region": "us-east-1" } }
}

const emptyDocument =
  (root: string) =>
  (context: Context): Reply => {
    context.storage.bucket(context.bucket)
    return xmlReply(writeXml(root, "", s3Namespace))
  }

const operations = {
  sts: operation("STS", "sts:*", "sts", sts),
  listBuckets: operation("ListBuckets", "s3:ListAllMyBuckets", "bucket", listBuckets),
  createBucket: operation("CreateBucket", "s3:CreateBucket", "bucket", createBucket),
  deleteBucket: operation("DeleteBucket", "s3:DeleteBucket", "bucket", deleteBucket),
  headBucket: operation("HeadBucket", "s3:ListBucket", "bucket", headBucket),
  location: operation("GetBucketLocation", "s3:GetBucketLocation", "bucket", emptyDocument("LocationConstraint")),
  versioning: operation(
    "GetBucketVersioning",
    "s3:GetBucketVersioning",
    "bucket",
    emptyDocument("VersioningConfiguration")
  ),
  listObjects: operation("ListObjects", "s3:ListBucket", "list", listObjects),
  listObjectsV2: operation("ListObjectsV2", "s3:ListBucket", "list", listObjects),
  listUploads: operation("ListMultipartUploads", "s3:ListBucketMultipartUploads", "list", listMultipartUploads),
  deleteObjects: operation("DeleteObjects", "s3:DeleteObject", "delete", deleteObjects),
  getObject: operation("GetObject", "s3:GetObject", "get", getObject),
  headObject: operation("HeadObject", "s3:GetObject", "head", headObject),
  putObject: operation("PutObject", "s3:PutObject", "put", putObject),
  copyObject: operation("CopyObject", "s3:PutObject", "copy", copyObject),
  deleteObject: operation("DeleteObject", "s3:DeleteObject", "delete", deleteObject),
  createUpload: operation("CreateMultipartUpload", "s3:PutObject", "put", createMultipartUpload),
  uploadPart: operation("UploadPart", "s3:PutObject", "put", uploadPart),
  uploadPartCopy: operation("UploadPartCopy", "s3:PutObject", "copy", uploadPartCopy),
  completeUpload: operation("CompleteMultipartUpload", "s3:PutObject", "put", completeMultipartUpload),
  abortUpload: operation("AbortMultipartUpload", "s3:AbortMultipartUpload", "delete", abortMultipartUpload),
  listParts: operation("ListParts", "s3:ListMultipartUploadParts", "list", listParts)
}

export interface Target {
  readonly bucket: string
  readonly key: string
  readonly query: URLSearchParams
}

export const parseTarget = (url: string): Target => {
  const question = url.indexOf("?")
  const path = (question === -1 ? url : url.slice(0, question)).replace(/^https?:\/\/[^/]*/, "")
  try {
    const decoded = decodeURIComponent(path.replace(/^\//, ""))
    const slash = decoded.indexOf("/")
    return {
      bucket: slash === -1 ? decoded : decoded.slice(0, slash),
      key: slash === -1 ? "" : decoded.slice(slash + 1),
      query: new URLSearchParams(question === -1 ? "" : url.slice(question + 1))
    }
  } catch {
    throw new S3Error(400, "InvalidURI", "Couldn't parse the specified URI.")
  }
}

// Sub-resources that are not here: an answer to something else would be worse than none.
const foreign =
  /^(acl|policy|policyStatus|tagging|lifecycle|cors|website|logging|notification|replication|encryption|object-lock|legal-hold|retention|torrent|select|restore|accelerate|analytics|inventory|metrics|publicAccessBlock|ownershipControls|requestPayment|attributes|versions|versionId)$/

export const route = (request: IncomingMessage, target: Target): Operation => {
  const { bucket, key, query } = target
  for (const name of query.keys()) if (foreign.test(name)) throw errors.notImplemented(name)
  const method = request.method
  if (bucket === "") {
    if (method === "POST") return operations.sts
    if (method === "GET") return operations.listBuckets
    throw errors.methodNotAllowed()
  }
  return key === "" ? routeBucket(method, query) : routeObject(request, method, query)
}

const routeBucket = (method: string | undefined, query: URLSearchParams): Operation => {
  switch (method) {
    case "GET":
      if (query.has("location")) return operations.location
      if (query.has("versioning")) return operations.versioning
      if (query.has("uploads")) return operations.listUploads
      return query.get("list-type") === "2" ? operations.listObjectsV2 : operations.listObjects
    case "HEAD":
      return operations.headBucket
    case "PUT":
      if (query.has("versioning")) throw errors.notImplemented("versioning")
      return operations.createBucket
    case "DELETE":
      return operations.deleteBucket
    case "POST":
      if (query.has("delete")) return operations.deleteObjects
      throw errors.notImplemented("browser uploads")
    default:
      throw errors.methodNotAllowed()
  }
}

const routeObject = (request: IncomingMessage, method: string | undefined, query: URLSearchParams): Operation => {
  const copies = request.headers["x-amz-copy-source"] !== undefined
  switch (method) {
    case "GET":
      return query.has("uploadId") ? operations.listParts : operations.getObject
    case "HEAD":
      return operations.headObject
    case "PUT":
      if (query.has("uploadId")) return copies ? operations.uploadPartCopy : operations.uploadPart
      return copies ? operations.copyObject : operations.putObject
    case "DELETE":
      return query.has("uploadId") ? operations.abortUpload : operations.deleteObject
    case "POST":
      if (query.has("uploads")) return operations.createUpload
      if (query.has("uploadId")) return operations.completeUpload
      throw errors.methodNotAllowed()
    default:
      throw errors.methodNotAllowed()
  }
}
