/** DeleteObject and DeleteObjects. */
import { child, childText, writeXml, type XmlContent } from "../../core/s3/xml.ts"
import { type Context, headerOf, type Reply, s3Namespace, xmlReply } from "./context.ts"
import { errors } from "./errors.ts"
import { readXmlBody } from "./objects.ts"
import { objectArn } from "./policy.ts"
import { namesEtag } from "./storage.ts"

const deleteKeysMax = 1000

export const deleteObject = (context: Context): Reply => {
  const ifMatch = headerOf(context, "if-match")
  if (ifMatch !== undefined) {
    const meta = context.storage.find(context.bucket, context.key)
    if (!namesEtag(ifMatch, meta.etag)) throw errors.preconditionFailed()
  }
  context.storage.delete(context.bucket, context.key)
  return { status: 204 }
}

export const deleteObjects = async (context: Context): Promise<Reply> => {
  context.storage.bucket(context.bucket)
  const root = await readXmlBody(context, "Delete")
  const quiet = childText(root, "Quiet")?.trim() === "true"
  const wanted = root.children.filter((element) => element.name === "Object")
  if (wanted.length === 0 || wanted.length > deleteKeysMax) {
    throw errors.malformedXml(`a request names 1 to ${deleteKeysMax} objects`)
  }
  const elements: Array<readonly [string, XmlContent]> = []
  for (const element of wanted) {
    const key = child(element, "Key")?.text ?? ""
    if (key === "") throw errors.malformedXml("an Object without a Key")
    if (!context.allowed("s3:DeleteObject", objectArn(context.bucket, key))) {
      const { code, message } = errors.accessDenied("s3:DeleteObject")
      elements.push([
        "Error",
        [
          ["Key", key],
          ["Code", code],
          ["Message", message]
        ]
      ])
      continue
    }
    context.storage.delete(context.bucket, key)
    if (!quiet) elements.push(["Deleted", [["Key", key]]])
  }
  return xmlReply(writeXml("DeleteResult", elements, s3Namespace))
}
