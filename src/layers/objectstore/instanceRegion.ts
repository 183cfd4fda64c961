/**
 * The region of the EC2 instance that this runs on, from the instance's metadata (IMDSv2). The SDK takes credentials from
 * there but no region, so that a machine with nothing but a role would not find its bucket.
 */

const address = "http://169.254.169.254"
/** Only this machine answers, or nobody. */
const timeoutMillis = 2_000
const tokenSeconds = 60

/** Undefined: not on EC2, or it does not say. */
export const instanceRegion = async (environment: NodeJS.ProcessEnv): Promise<string | undefined> => {
  if (environment["AWS_EC2_METADATA_DISABLED"]?.toLowerCase() === "true") return undefined
  const base = (environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] || address).replace(/\/$/, "")
  const ask = async (path: string, init: RequestInit): Promise<string | undefined> => {
    const answer = await fetch(`${base}/latest/${path}`, { ...init, signal: AbortSignal.timeout(timeoutMillis) })
    const text = (await answer.text()).trim()
    return answer.ok && text !== "" ? text : undefined
  }
  try {
    const lifetime = { "x-aws-ec2-metadata-token-ttl-seconds": String(tokenSeconds) }
    const token = await ask("api/token", { method: "PUT", headers: lifetime })
    if (token === undefined) return undefined
    const region = await ask("meta-data/placement/region", { headers: { "x-aws-ec2-metadata-token": token } })
    return region !== undefined && /^[a-z0-9-]{3,32}$/.test(region) ? region : undefined
  } catch {
    return undefined
  }
}
