/** `--feature-gates`: names as in etcd, checked; none of them changes anything here. */
import { nearest } from "../nearest.ts"
import type { FlagReading } from "./flagReading.ts"
import { shown } from "./goFlags.ts"
import { parseGoBool } from "./goValues.ts"

const gates: Readonly<Record<string, string>> = {
  AllAlpha: "there are no features to turn on",
  AllBeta: "there are no features to turn on",
  StopGRPCServiceOnDefrag: "defragmentation stops nobody here",
  InitialCorruptCheck: "every record carries a checksum that is compared whenever it is read",
  CompactHashCheck: "every record carries a checksum that is compared whenever it is read",
  LeaseCheckpoint: "leases start anew with a new leader",
  LeaseCheckpointPersist: "leases start anew with a new leader",
  SetMemberLocalAddr: "calls to other members leave from any address",
  PriorityRequest: "no call is put before another",
  TxnModeWriteWithSharedBuffer: "the local database is SQLite",
  FastLeaseKeepAlive: "keep-alives are answered from memory anyway"
}

export const checkFeatureGates = (flags: FlagReading): void => {
  for (const entry of flags.list("feature-gates")) {
    const equals = entry.indexOf("=")
    const name = equals < 0 ? entry : entry.slice(0, equals)
    const value = equals < 0 ? "" : entry.slice(equals + 1)
    if (!Object.hasOwn(gates, name)) {
      const meant = nearest(name, Object.keys(gates))
      flags.refuse(
        "feature-gates",
        `names of etcd's features; ${shown(name)} is none${meant === undefined ? "" : ` (did you mean ${meant}?)`}`
      )
    } else if (equals < 0 || parseGoBool(value) === undefined) {
      flags.refuse("feature-gates", `${name}=true or ${name}=false`)
    } else if (parseGoBool(value) === true) flags.warnings.push(`--feature-gates ${name} has no effect: ${gates[name]}`)
  }
}
