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

/** Tokens of logged-in users. */
export type TokenSettings =
  | { readonly kind: "simple"; readonly ttlSeconds: number }
  | {
      readonly kind: "jwt"
      /** Absolute paths of PEM files. With the public key alone tokens are checked but none are issued. */
      readonly publicKeyFile: string | undefined
      readonly privateKeyFile: string | undefined
      /** `RS256`, `ES384`, `HS512` … */
      readonly signMethod: string
      readonly ttlSeconds: number
    }

/** What the etcd API can be told beyond its limits. */
export interface ApiSettings {
  /** Undefined: off. */
  readonly autoCompaction:
    | { readonly mode: "periodic"; readonly retentionMillis: number }
    | { readonly mode: "revision"; readonly retentionRevisions: number }
    | undefined
  readonly auth: {
    readonly tokens: TokenSettings
    readonly bcryptCost: number
    /** The common name of a verified client certificate counts as a user. */
    readonly clientCertAuth: boolean
  }
  readonly lease: { readonly minTtlSeconds: number }
  readonly http: {
    /** Origins that browsers may call from; `*`: all. */
    readonly cors: ReadonlyArray<string>
    /** Values of `Host` that are answered without TLS; `*`: all. */
    readonly hostWhitelist: ReadonlyArray<string>
    /** The JSON gateway `/v3/...`. */
    readonly gateway: boolean
  }
  readonly metricsLevel: "basic" | "extensive"
  readonly compaction: {
    /** Revisions that are looked at in one go. */
    readonly batchLimit: number
    /** Pause between two of them. */
    readonly sleepMillis: number
  }
}

/** An address of `netsy etcd`, as one of the `--listen-…-urls` says it. */
export interface ListenUrl {
  /** As it was written. */
  readonly text: string
  readonly secure: boolean
  readonly address: ListenAddress
}

/** TCP, or a socket file when there is a path. */
export interface ListenAddress extends HostPort {
  readonly path?: string
}

/** Certificates of one kind of port of `netsy etcd`; paths are absolute. */
export interface EtcdTlsSettings {
  /** Undefined: the node makes its own (`--auto-tls`). */
  readonly files: { readonly cert: string; readonly key: string } | undefined
  /** For calls from this node, where it differs from `files`. */
  readonly clientFiles: { readonly cert: string; readonly key: string } | undefined
  readonly trustedCaFile: string | undefined
  /** A certificate that `trustedCaFile` has signed is required. */
  readonly clientCertAuth: boolean
  readonly crlFile: string | undefined
  /** Empty: any. */
  readonly allowedCommonNames: ReadonlyArray<string>
  readonly allowedHostnames: ReadonlyArray<string>
}

/** What only `netsy etcd` has. */
export interface EtcdSettings {
  /** As `--name` says it; the node id is made from it. */
  readonly memberName: string
  /** Names in `--initial-cluster`, this one among them. */
  readonly members: ReadonlyArray<string>
  readonly listenClient: ReadonlyArray<ListenUrl>
  /** HTTP/1 alone; empty: it shares the client ports. */
  readonly listenClientHttp: ReadonlyArray<ListenUrl>
  readonly listenPeer: ReadonlyArray<ListenUrl>
  readonly listenMetrics: ReadonlyArray<ListenUrl>
  readonly advertiseClientUrls: ReadonlyArray<string>
  readonly advertisePeerUrls: ReadonlyArray<string>
  /** Undefined: no address is https. */
  readonly clientTls: EtcdTlsSettings | undefined
  readonly peerTls: EtcdTlsSettings | undefined
  readonly tlsMinVersion: "TLSv1.2" | "TLSv1.3"
  readonly tlsMaxVersion: "TLSv1.2" | "TLSv1.3"
  /** In OpenSSL's names, for TLS 1.2; empty: its own choice. */
  readonly cipherSuites: ReadonlyArray<string>
  readonly selfSignedYears: number
  readonly maxConcurrentStreams: number
  readonly keepAlive: { readonly intervalMillis: number; readonly timeoutMillis: number }
  /** Other processes may listen on the same ports. */
  readonly reusePort: boolean
}

export type LogLevel = "debug" | "info" | "warn" | "error" | "fatal"

export interface SettingsShape extends ApiSettings {
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
  readonly log: {
    /** `zap-…`: lines as etcd writes them. */
    readonly format: "text" | "json" | "zap-json" | "zap-console"
    readonly debug: boolean
    /** Less important lines are left out. */
    readonly level: LogLevel
    /** `stderr`, `stdout` or absolute paths of files. */
    readonly outputs: ReadonlyArray<string>
  }
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
  /** Undefined: not `netsy etcd`. */
  readonly etcd: EtcdSettings | undefined
}

/** The settings that a node runs with. */
export class Settings extends Context.Service<Settings, SettingsShape>()("netsy/services/Settings") {}
