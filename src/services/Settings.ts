/** The node's settings, read and checked once before anything is opened. Source: netsy-1x.md section 12, design 8. */
import { Context } from "effect"

export interface HostPort {
  /** Empty: all interfaces. */
  readonly host: string
  readonly port: number
}

export interface StorageSettings {
  readonly provider: "s3" | "gcs" | "directory"
  /** S3 and GCS. */
  readonly bucketName: string
  /** Empty, or ends in `/`. */
  readonly keyPrefix: string
  readonly class: string
  readonly encryption: "provider-managed" | "customer-managed"
  readonly kmsKeyId: string
  /** Provider `directory`: absolute path. */
  readonly path: string
}

export interface TlsSettings {
  readonly caCert: string
  readonly serverCert: string
  readonly serverKey: string
  readonly clientCert: string
  readonly clientKey: string
}

export interface SettingsShape {
  readonly clusterId: string
  readonly nodeId: string
  /** Absolute path of the directory that holds `db.sqlite3`. */
  readonly dataDir: string
  readonly storage: StorageSettings
  readonly heartbeatIntervalMillis: number
  readonly elector: {
    readonly degradationCount: number
    /** Undefined: never (0 and negative values in the file). */
    readonly deregistrationTimeoutMillis: number | undefined
    readonly primaryPriorTimeoutMillis: number
    readonly abandonAfterMillis: number | undefined
  }
  readonly replication: {
    /** -1 majority, 0 off, > 0 that many. */
    readonly quorum: number
    readonly degradationCount: number
    /** Undefined: the default of design 6.3 for the store and the size of the cluster. */
    readonly storeLeaseMillis: number | undefined
    readonly chunkBuffer: {
      /** 0: no flush by size. */
      readonly thresholdSizeMib: number
      readonly thresholdAgeMinutes: number
      readonly limitMib: number
    }
  }
  readonly snapshot: {
    /** Undefined: off. */
    readonly thresholdRecords: number | undefined
    readonly thresholdSizeMib: number | undefined
    readonly thresholdAgeMinutes: number | undefined
    readonly cleanupStrategy: "auto" | "list" | "direct"
    readonly cleanupBatchSize: number
    readonly cleanupBatchIntervalMillis: number
    /** How many snapshots stay at least. */
    readonly keep: number
    /** Chunks and snapshots needed to restore any moment of so long ago stay. */
    readonly historyMillis: number
  }
  /** 0: off. */
  readonly compactionIntervalMillis: number
  readonly limits: {
    readonly maxRequestBytes: number
    readonly maxTxnOps: number
    /** 0: none. */
    readonly quotaBytes: number
  }
  readonly watch: { readonly progressIntervalMillis: number }
  readonly log: { readonly format: "text" | "json"; readonly debug: boolean }
  readonly bind: {
    readonly client: HostPort
    readonly peer: HostPort
    readonly election: HostPort
    readonly health: HostPort
  }
  /** host:port as others reach this node. */
  readonly advertise: { readonly client: string; readonly peer: string; readonly election: string }
  /** Undefined: plain text (`--insecure`, loopback only). */
  readonly tls: TlsSettings | undefined
}

export class Settings extends Context.Service<Settings, SettingsShape>()("netsy/services/Settings") {}
