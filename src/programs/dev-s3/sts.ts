/** The two STS calls that SDKs make before they talk to S3, answered on `POST /`. Anybody may assume any role. */
import { randomBytes } from "node:crypto"
import { writeXml, type XmlContent } from "../../core/s3/xml.ts"
import { readText } from "./body.ts"
import { type Context, type Reply } from "./context.ts"
import { iso } from "./listing.ts"

const stsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"
const formBytesMax = 256 << 10

const stsReply = (status: number, root: string, content: XmlContent): Reply => ({
  status,
  headers: { "content-type": "text/xml" },
  body: writeXml(root, content, stsNamespace)
})

const failure = (context: Context, code: string, message: string): Reply =>
  stsReply(code === "AccessDenied" ? 403 : 400, "ErrorResponse", [
    [
      "Error",
      [
        ["Type", "Sender"],
        ["Code", code],
        ["Message", message]
      ]
    ],
    ["RequestId", context.requestId]
  ])

const credentials = (context: Context, form: URLSearchParams): XmlContent => {
  const seconds = Number(form.get("DurationSeconds") ?? 3600)
  const lifeMillis = 1000 * (seconds >= 900 && seconds <= 43_200 ? seconds : 3600)
  return [
    ["AccessKeyId", `ASIA${randomBytes(8).toString("hex").toUpperCase()}`],
    ["SecretAccessKey", randomBytes(30).toString("base64")],
    ["SessionToken", randomBytes(48).toString("base64")],
    ["Expiration", iso(context.nowMillis() + lifeMillis)]
  ]
}

export const sts = async (context: Context): Promise<Reply> => {
  const form = new URLSearchParams(await readText(context.request, formBytesMax))
  const action = form.get("Action") ?? ""
  const metadata = ["ResponseMetadata", [["RequestId", context.requestId]]] as const
  if (!context.allowed(`sts:${action}`, form.get("RoleArn") || "*")) {
    return failure(context, "AccessDenied", `User is not authorized to perform: sts:${action}`)
  }
  const role = form.get("RoleArn") ?? ""
  const session = form.get("RoleSessionName") ?? ""
  const roleName = /^arn:[\w-]+:iam::(\d{12}):role\/(.+)$/.exec(role)
  if (action === "GetCallerIdentity") {
    const identity: XmlContent = [
      ["UserId", "dev-s3"],
      ["Account", "000000000000"],
      ["Arn", "arn:aws:iam::000000000000:user/dev-s3"]
    ]
    return stsReply(200, "GetCallerIdentityResponse", [["GetCallerIdentityResult", identity], metadata])
  }
  if (action !== "AssumeRole" && action !== "AssumeRoleWithWebIdentity") {
    return failure(context, "InvalidAction", `Could not find operation ${action} for version 2011-06-15`)
  }
  if (roleName === null) return failure(context, "ValidationError", `${role} is invalid`)
  if (!/^[\w+=,.@-]{2,64}$/.test(session)) {
    return failure(context, "ValidationError", `1 validation error detected: Value '${session}' at 'roleSessionName'`)
  }
  if (action === "AssumeRoleWithWebIdentity" && (form.get("WebIdentityToken") ?? "") === "") {
    return failure(context, "InvalidIdentityToken", "The web identity token is empty")
  }
  const user: XmlContent = [
    ["AssumedRoleId", `AROADEVS3:${session}`],
    ["Arn", `arn:aws:sts::${roleName[1]}:assumed-role/${roleName[2]}/${session}`]
  ]
  const result: XmlContent = [
    ["Credentials", credentials(context, form)],
    ["AssumedRoleUser", user]
  ]
  return stsReply(200, `${action}Response`, [[`${action}Result`, result], metadata])
}
