/**
 * What a machine finds in the cloud, as one program: S3 (dev-s3 under an IAM policy), the metadata of the instance with
 * its role's credentials at 169.254.169.254, and a page to download the release from. `cloudProcess.ts OPTIONS` (JSON).
 */
import { randomBytes } from "node:crypto"
import { createReadStream, readFileSync } from "node:fs"
import { createServer, type RequestListener } from "node:http"
import { parsePolicy } from "../../../src/programs/dev-s3/policy.ts"
import { startDevS3 } from "../../../src/programs/dev-s3/server.ts"
import { type CloudOptions, metadataHost, ports } from "./cloudOptions.ts"

const role = "netsy-node"

const metadata: RequestListener = (request, response) => {
  const token = "metadata-token"
  const say = (text: string): void => void response.writeHead(200, { "content-type": "text/plain" }).end(text)
  if (request.method === "PUT" && request.url === "/latest/api/token") return say(token)
  if (request.headers["x-aws-ec2-metadata-token"] !== token) return void response.writeHead(401).end()
  switch (request.url) {
    case "/latest/meta-data/placement/region":
      return say("us-east-1")
    case "/latest/meta-data/iam/security-credentials/":
      return say(role)
    case `/latest/meta-data/iam/security-credentials/${role}`:
      return say(
        JSON.stringify({
          Code: "Success",
          Type: "AWS-HMAC",
          AccessKeyId: "ASIAVM",
          SecretAccessKey: randomBytes(20).toString("hex"),
          Token: "session",
          LastUpdated: new Date().toISOString(),
          Expiration: new Date(Date.now() + 6 * 3_600_000).toISOString()
        })
      )
    default:
      return void response.writeHead(404).end()
  }
}

const listen = (host: string, port: number, answer: RequestListener): Promise<void> =>
  new Promise((resolve, reject) => {
    const server = createServer(answer)
    server.once("error", reject)
    server.listen(port, host, resolve)
  })

const options = JSON.parse(process.argv[2] ?? "") as CloudOptions
const { bucket, folder, host, policy, release, sums } = options
await startDevS3({
  addr: `${host}:${ports.s3}`,
  dir: folder,
  bucket,
  faults: { policy: parsePolicy(readFileSync(policy, "utf8")) },
  // Who is refused something is shown in the log.
  log: (line) => void (/ (403|404|5\d\d|cut) /.test(line) && process.stdout.write(`${line}\n`))
})
await listen(metadataHost, 80, metadata)
await listen(host, ports.downloads, ({ url = "" }, response) => {
  if (url.endsWith("/SHA512SUMS")) return void response.end(sums)
  createReadStream(release).pipe(response)
})
process.on("disconnect", () => process.exit(0))
process.send!("listening")
