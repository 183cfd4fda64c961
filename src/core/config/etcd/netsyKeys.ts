/** Flags of etcd that are settings of Netsy under another name: each becomes the key's value, where its rule holds. */
import type { FileKey } from "../fields.ts"
import type { Given } from "../given.ts"
import type { Reading } from "../reading.ts"
import type { FlagReading } from "./flagReading.ts"

/** Same meaning and form, whole numbers aside, which Go writes in more ways. */
const numbers: ReadonlyArray<readonly [flag: string, key: FileKey]> = [
  ["snapshot-count", "snapshot.threshold_records"],
  ["max-txn-ops", "limits.max_txn_ops"],
  ["max-request-bytes", "limits.max_request_bytes"],
  ["compaction-batch-limit", "compaction.batch_limit"]
]

const texts: ReadonlyArray<readonly [flag: string, key: FileKey]> = [
  ["auto-compaction-mode", "auto_compaction.mode"],
  ["compaction-sleep-interval", "compaction.sleep_interval"],
  ["watch-progress-notify-interval", "watch.progress_interval"],
  ["auth-token", "auth.token"],
  ["cors", "http.cors"],
  ["host-whitelist", "http.host_whitelist"],
  ["metrics", "metrics.level"]
]

const switches: ReadonlyArray<readonly [flag: string, key: FileKey]> = [
  ["enable-grpc-gateway", "http.gateway"],
  ["client-cert-auth", "auth.client_cert_auth"]
]

/** Every key that a flag of etcd sets. */
export const flagsOfKeys: ReadonlyArray<readonly [flag: string, key: FileKey]> = [
  ...numbers,
  ...texts,
  ...switches,
  ["auth-token-ttl", "auth.token_ttl"],
  ["quota-backend-bytes", "limits.quota_bytes"],
  ["auto-compaction-retention", "auto_compaction.retention"],
  ["bcrypt-cost", "auth.bcrypt_cost"],
  ["election-timeout", "lease.min_ttl"]
]

const quotaDefaultBytes = 2 * 1024 ** 3
const bcryptCosts = { min: 4, max: 31 }
const electionMaxMillis = 50_000

export const putKeys = (flags: FlagReading, reading: Reading): void => {
  const put = (flag: string, key: FileKey, text: string): void => {
    const given: Given = { kind: "word", text, source: flags.given(flag)?.source ?? `--${flag}` }
    reading.put(key, given)
  }
  for (const [flag, key] of numbers) {
    if (flags.given(flag) !== undefined) put(flag, key, String(flags.number(flag)))
  }
  for (const [flag, key] of texts) {
    const given = flags.given(flag)
    if (given !== undefined) put(flag, key, given.text)
  }
  for (const [flag, key] of switches) {
    if (flags.given(flag) !== undefined) put(flag, key, String(flags.isOn(flag)))
  }
  if (flags.given("auth-token-ttl") !== undefined) {
    put("auth-token-ttl", "auth.token_ttl", `${flags.number("auth-token-ttl")}s`)
  }
  putQuota(flags, reading, put)
  putRetention(flags, put)
  putBcryptCost(flags, put)
  putLeaseMinTtl(flags, put)
}

type Put = (flag: string, key: FileKey, text: string) => void

/** Here 0 is etcd's default and a negative number none; as a key 0 is none. */
const putQuota = (flags: FlagReading, reading: Reading, put: Put): void => {
  const flag = "quota-backend-bytes"
  if (flags.given(flag) === undefined && reading.given("limits.quota_bytes") !== undefined) return
  const bytes = flags.number(flag)
  put(flag, "limits.quota_bytes", String(bytes === 0 ? quotaDefaultBytes : Math.max(0, bytes)))
}

/** A bare number is hours for `periodic`. */
const putRetention = (flags: FlagReading, put: Put): void => {
  const flag = "auto-compaction-retention"
  const given = flags.given(flag)
  if (given === undefined) return
  const hours = flags.text("auto-compaction-mode") === "periodic" && /^\+?\d+$/.test(given.text)
  put(flag, "auto_compaction.retention", hours ? `${given.text}h` : given.text)
}

/** etcd goes on with its default too. */
const putBcryptCost = (flags: FlagReading, put: Put): void => {
  const flag = "bcrypt-cost"
  if (flags.given(flag) === undefined) return
  const cost = flags.number(flag)
  if (cost >= bcryptCosts.min && cost <= bcryptCosts.max) return put(flag, "auth.bcrypt_cost", String(cost))
  flags.warnings.push(`--${flag}: ${cost} is not from ${bcryptCosts.min} to ${bcryptCosts.max}; 10 is used`)
  put(flag, "auth.bcrypt_cost", "10")
}

/** One and a half election timeouts in whole heartbeats, rounded up to seconds. */
const putLeaseMinTtl = (flags: FlagReading, put: Put): void => {
  const electionMillis = flags.number("election-timeout")
  const heartbeatMillis = flags.number("heartbeat-interval")
  if (heartbeatMillis === 0) flags.refuse("heartbeat-interval", "milliseconds, 1 or more")
  else if (electionMillis > electionMaxMillis) flags.refuse("election-timeout", `at most ${electionMaxMillis} ms`)
  else if (electionMillis < 5 * heartbeatMillis) {
    flags.refuse("election-timeout", `at least 5 times --heartbeat-interval (${heartbeatMillis} ms)`)
  } else if (flags.given("election-timeout") !== undefined || flags.given("heartbeat-interval") !== undefined) {
    const ticks = Math.floor((3 * Math.floor(electionMillis / heartbeatMillis)) / 2)
    put("election-timeout", "lease.min_ttl", `${Math.ceil((ticks * heartbeatMillis) / 1_000)}s`)
  }
}
