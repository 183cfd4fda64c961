/** Settings of the etcd API that `netsy etcd` has flags for, under Netsy's own names. */
import { posix } from "node:path"
import type { ApiSettings } from "../../services/Settings.ts"
import { authTokenForms, parseAuthToken, withPaths } from "./authToken.ts"
import type { FileKey } from "./fields.ts"
import { atLeast, type Reading } from "./reading.ts"

export const simpleTokenTtlSeconds = 300

/** As etcd has them. */
export const apiDefaults: ApiSettings = {
  autoCompaction: undefined,
  auth: { tokens: { kind: "simple", ttlSeconds: simpleTokenTtlSeconds }, bcryptCost: 10, clientCertAuth: false },
  lease: { minTtlSeconds: 2 },
  http: { cors: ["*"], hostWhitelist: ["*"], gateway: true },
  metricsLevel: "basic",
  compaction: { batchLimit: 1_000, sleepMillis: 10 }
}

export const resolveApi = (reading: Reading, cwd: string): ApiSettings => {
  const { auth, lease, http, metricsLevel, compaction } = apiDefaults
  return {
    autoCompaction: resolveAutoCompaction(reading),
    auth: {
      tokens: resolveTokens(reading, cwd),
      bcryptCost: reading.integer("auth.bcrypt_cost", { fallback: auth.bcryptCost, min: 4, max: 31 }),
      clientCertAuth: reading.switch("auth.client_cert_auth", auth.clientCertAuth)
    },
    lease: { minTtlSeconds: seconds(reading, "lease.min_ttl", lease.minTtlSeconds) },
    http: {
      gateway: reading.switch("http.gateway", http.gateway),
      cors: list(reading.text("http.cors", ""), http.cors),
      hostWhitelist: list(reading.text("http.host_whitelist", ""), http.hostWhitelist)
    },
    metricsLevel: reading.choice("metrics.level", metricsLevel, ["basic", "extensive"]),
    compaction: {
      batchLimit: reading.integer("compaction.batch_limit", { fallback: compaction.batchLimit, min: 1, max: 1e6 }),
      sleepMillis:
        reading.duration("compaction.sleep_interval", { ...atLeast(0), fallbackMillis: compaction.sleepMillis }) ??
        compaction.sleepMillis
    }
  }
}

/** Entries between commas; an empty text is no entry, which etcd takes for "all". */
export const list = (text: string, fallback: ReadonlyArray<string>): ReadonlyArray<string> => {
  const entries = text
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "")
  return entries.length === 0 ? fallback : entries
}

const seconds = (reading: Reading, key: FileKey, fallback: number): number => {
  const millis = reading.duration(key, {
    fallbackMillis: fallback * 1_000,
    allowed: "whole seconds, 1s or more",
    accept: (given) => given >= 1_000 && given % 1_000 === 0
  })
  return (millis ?? fallback * 1_000) / 1_000
}

const resolveAutoCompaction = (reading: Reading): ApiSettings["autoCompaction"] => {
  const mode = reading.choice("auto_compaction.mode", "periodic", ["periodic", "revision"])
  const key = "auto_compaction.retention"
  const given = reading.given(key)
  if (given === undefined) return undefined
  if (mode === "revision") {
    const retentionRevisions = reading.integer(key, { fallback: 0, min: 0 })
    return retentionRevisions === 0 ? undefined : { mode, retentionRevisions }
  }
  const retentionMillis = reading.duration(key, { ...atLeast(0), fallbackMillis: 0 }) ?? 0
  return retentionMillis === 0 ? undefined : { mode, retentionMillis }
}

const resolveTokens = (reading: Reading, cwd: string): ApiSettings["auth"]["tokens"] => {
  const ttlSeconds = seconds(reading, "auth.token_ttl", simpleTokenTtlSeconds)
  const parsed = parseAuthToken(reading.text("auth.token", "simple") || "simple", ttlSeconds)
  if (parsed.ok) return withPaths(parsed.tokens, (path) => posix.resolve(cwd, path))
  reading.refuse("auth.token", `${authTokenForms} (${parsed.reason})`)
  return apiDefaults.auth.tokens
}
