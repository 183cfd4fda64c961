/**
 * The two AWS SDK clients of the S3 store: one with the SDK's retries, one without for conditional writes. Region,
 * endpoint and credentials come from the AWS environment; the SDK is loaded on demand, since it costs start-up time.
 */
import type * as Sdk from "@aws-sdk/client-s3"
import type { S3Client, S3ClientConfig } from "@aws-sdk/client-s3"
import { instanceRegion } from "./instanceRegion.ts"

/** Wins over the environment; for tests and for programs that embed the store. */
export interface S3Overrides {
  readonly endpoint?: string
  readonly region?: string
  readonly pathStyle?: boolean
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string }
  /** Per attempt, to the head of the answer; bodies get more, by size. Default 10 s. */
  readonly requestTimeoutMillis?: number
}

export interface S3Clients {
  readonly sdk: typeof Sdk
  readonly retrying: S3Client
  readonly once: S3Client
  readonly requestTimeoutMillis: number
}

const connectTimeoutMillis = 3000
/** Without a byte in either direction. */
const idleTimeoutMillis = 20_000
const defaultRequestTimeoutMillis = 10_000
// S3 closes idle connections without a word; one that is thrown away earlier costs no lost request.
const idleSocketMillis = 4000
const socketsMax = 128
const attemptsMax = 3
/** Of streamed bodies: S3 refuses pieces below 8 KiB, except the last. */
const streamBufferBytes = 64 * 1024

/** `AWS_ROLE_ARN` without a web identity token: assume that role with the SDK's own credentials. */
const assumedRole = async (environment: NodeJS.ProcessEnv): Promise<S3ClientConfig["credentials"] | undefined> => {
  const roleArn = environment["AWS_ROLE_ARN"]
  if (!roleArn || environment["AWS_WEB_IDENTITY_TOKEN_FILE"]) return undefined
  const { fromTemporaryCredentials } = await import("@aws-sdk/credential-providers")
  const sessionName = environment["AWS_ROLE_SESSION_NAME"] || "netsy-session"
  return fromTemporaryCredentials({ params: { RoleArn: roleArn, RoleSessionName: sessionName } })
}

const ignore = (): void => {}
const silent = { debug: ignore, info: ignore, warn: ignore, error: ignore }

const hasRegion = async (client: S3Client): Promise<boolean> => {
  try {
    return (await client.config.region()) !== ""
  } catch {
    return false
  }
}

export const connect = async (overrides: S3Overrides, environment: NodeJS.ProcessEnv): Promise<S3Clients> => {
  const sdk = await import("@aws-sdk/client-s3")
  const credentials = overrides.credentials ?? (await assumedRole(environment))
  // The SDK for JavaScript does not know AWS_DEFAULT_REGION, the one that Netsy 1.x used does.
  const region = overrides.region ?? (environment["AWS_REGION"] || environment["AWS_DEFAULT_REGION"] || undefined)
  const requestTimeoutMillis = overrides.requestTimeoutMillis ?? defaultRequestTimeoutMillis
  const agent = { keepAlive: true, maxSockets: socketsMax, timeout: idleSocketMillis }
  const config: S3ClientConfig = {
    ...(region === undefined ? {} : { region }),
    ...(overrides.endpoint === undefined ? {} : { endpoint: overrides.endpoint }),
    ...(credentials === undefined ? {} : { credentials }),
    // Its warnings would go to the console; what fails comes back as an error anyway.
    logger: silent,
    requestStreamBufferSize: streamBufferBytes,
    forcePathStyle: overrides.pathStyle ?? environment["AWS_S3_USE_PATH_STYLE"] === "true",
    requestHandler: {
      connectionTimeout: connectTimeoutMillis,
      requestTimeout: requestTimeoutMillis,
      throwOnRequestTimeout: true,
      socketTimeout: idleTimeoutMillis,
      httpAgent: agent,
      httpsAgent: agent
    }
  }
  const withRegion = async (): Promise<S3ClientConfig> => {
    const probe = new sdk.S3Client(config)
    try {
      if (await hasRegion(probe)) return config
    } finally {
      probe.destroy()
    }
    // An own endpoint (dev-s3, MinIO) rarely has regions; for AWS itself a wrong guess would only mislead.
    const ownEndpoint = overrides.endpoint ?? environment["AWS_ENDPOINT_URL_S3"] ?? environment["AWS_ENDPOINT_URL"]
    if (ownEndpoint) return { ...config, region: "us-east-1" }
    const here = await instanceRegion(environment)
    if (here === undefined) throw new Error("no region: set AWS_REGION")
    return { ...config, region: here }
  }
  const complete = region === undefined ? await withRegion() : config
  const retrying = new sdk.S3Client({ ...complete, maxAttempts: attemptsMax, retryMode: "standard" })
  // The credentials of one are the credentials of both: a role is assumed once.
  const once = new sdk.S3Client({ ...complete, maxAttempts: 1, credentials: retrying.config.credentials })
  return { sdk, retrying, once, requestTimeoutMillis }
}
