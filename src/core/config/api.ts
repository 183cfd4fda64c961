/** Settings of the etcd API that `netsy etcd` has flags for, under Netsy's own names. */
import { posix } from "node:path"
import type { ApiSettings } from "../../services/Settings.ts"
import { authTokenForms, parseAuthToken, withPaths } from "./authToken.ts"
import { durationRule } from "./durationRule.ts"
import type { Reading } from "./reading.ts"

export const resolveApi = (reading: Reading, cwd: string): ApiSettings => ({
  autoCompaction: resolveAutoCompaction(reading),
  auth: {
    tokens: resolveTokens(reading, cwd),
    bcryptCost: reading.integer("auth.bcrypt_cost"),
    clientCertAuth: reading.switch("auth.client_cert_auth")
  },
  lease: { minTtlSeconds: reading.duration("lease.min_ttl") / 1_000 },
  http: {
    gateway: reading.switch("http.gateway"),
    cors: list(reading.text("http.cors")),
    hostWhitelist: list(reading.text("http.host_whitelist"))
  },
  metricsLevel: reading.choice("metrics.level"),
  compaction: {
    batchLimit: reading.integer("compaction.batch_limit"),
    sleepMillis: reading.duration("compaction.sleep_interval")
  }
})

/** Entries between commas; an empty text is no entry, which etcd takes for "all". */
const list = (text: string): ReadonlyArray<string> => {
  const entries = text
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "")
  return entries.length === 0 ? ["*"] : entries
}

const resolveAutoCompaction = (reading: Reading): ApiSettings["autoCompaction"] => {
  const mode = reading.choice("auto_compaction.mode")
  const key = "auto_compaction.retention"
  if (reading.given(key) === undefined) return undefined
  if (mode === "revision") {
    const retentionRevisions = reading.integerWithin(key, { fallback: 0, min: 0 })
    return retentionRevisions === 0 ? undefined : { mode, retentionRevisions }
  }
  const retentionMillis = reading.durationWithin(key, durationRule({ min: "0s" }), 0) ?? 0
  return retentionMillis === 0 ? undefined : { mode, retentionMillis }
}

const resolveTokens = (reading: Reading, cwd: string): ApiSettings["auth"]["tokens"] => {
  const ttlSeconds = reading.duration("auth.token_ttl") / 1_000
  const parsed = parseAuthToken(reading.text("auth.token") || "simple", ttlSeconds)
  if (parsed.ok) return withPaths(parsed.tokens, (path) => posix.resolve(cwd, path))
  reading.refuse("auth.token", `${authTokenForms} (${parsed.reason})`)
  return { kind: "simple", ttlSeconds }
}
