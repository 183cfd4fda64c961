/** S3's errors as values that a handler throws, and their XML. */
import { writeXml } from "../../core/s3/xml.ts"

export class S3Error extends Error {
  override readonly name = "S3Error"
  readonly status: number
  readonly code: string
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, code: string, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message)
    this.status = status
    this.code = code
    this.headers = headers
  }
}

export const errors = {
  noSuchKey: () => new S3Error(404, "NoSuchKey", "The specified key does not exist."),
  noSuchBucket: () => new S3Error(404, "NoSuchBucket", "The specified bucket does not exist"),
  noSuchUpload: () =>
    new S3Error(404, "NoSuchUpload", "The specified upload does not exist. It may have been aborted or completed."),
  preconditionFailed: () =>
    new S3Error(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"),
  conflict: () =>
    new S3Error(
      409,
      "ConditionalRequestConflict",
      "The conditional request cannot succeed due to a conflicting operation against this resource."
    ),
  invalidArgument: (message: string) => new S3Error(400, "InvalidArgument", message),
  invalidRequest: (message: string) => new S3Error(400, "InvalidRequest", message),
  malformedXml: (reason: string) =>
    new S3Error(400, "MalformedXML", `The XML you provided was not well-formed or did not validate: ${reason}`),
  badDigest: (what: string) =>
    new S3Error(400, "BadDigest", `The ${what} you specified did not match the calculated checksum.`),
  accessDenied: (action: string) => new S3Error(403, "AccessDenied", `User is not authorized to perform: ${action}`),
  methodNotAllowed: () =>
    new S3Error(405, "MethodNotAllowed", "The specified method is not allowed against this resource."),
  notImplemented: (what: string) =>
    new S3Error(501, "NotImplemented", `A header or parameter implies functionality that is not implemented: ${what}`)
}

export const errorXml = (error: S3Error, resource: string, requestId: string): string =>
  writeXml("Error", [
    ["Code", error.code],
    ["Message", error.message],
    ["Resource", resource],
    ["RequestId", requestId]
  ])
