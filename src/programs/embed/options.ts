/**
 * What a program says to have a node: the keys of the configuration file in camel case, checked by the same code. Durations
 * are Effect's (`"5 seconds"`, milliseconds, a `Duration`), or Go's texts as the file has them (`"5s"`).
 */
import type { Duration } from "effect"
import type { GcsOverrides } from "../../layers/ObjectStoreGcs.ts"
import type { S3Overrides } from "../../layers/ObjectStoreS3.ts"
import type { Network } from "./network.ts"

/** Go's form is a text such as `"1h30m"`. */
export type DurationOption = Duration.Input | `${number}${"ms" | "s" | "m" | "h"}${string}`

/** `dir:PATH`, `s3://BUCKET/PREFIX` or `gs://BUCKET/PREFIX`; a plain string is looked at when the node starts. */
export type StorageWord = `dir:${string}` | `s3://${string}` | `gs://${string}` | (string & {})

/** The bucket in parts: `bucketName` for S3 and GCS, `path` for a directory. */
export interface StorageOptions {
  readonly provider: "s3" | "gcs" | "directory"
  readonly bucketName?: string | undefined
  readonly keyPrefix?: string | undefined
  readonly class?: string | undefined
  readonly encryption?: "provider-managed" | "customer-managed" | undefined
  readonly kmsKeyId?: string | undefined
  readonly path?: string | undefined
}

/** What every node can be told: docs/configuration.md says more about each. */
export interface NodeOptions {
  /** Default `netsy`. All nodes of a cluster have the same. */
  readonly clusterId?: string | undefined
  /** Default `node-1`. Each node of a cluster has its own. */
  readonly nodeId?: string | undefined
  /** On a local disk. Default: `.node` in a directory store, else `./netsy-data`. Losing it loses nothing but time. */
  readonly dataDir?: string | undefined
  readonly heartbeatInterval?: DurationOption | undefined
  readonly elector?:
    | {
        readonly degradationCount?: number | undefined
        readonly deregistrationTimeout?: DurationOption | undefined
        readonly primaryPriorTimeout?: DurationOption | undefined
        readonly abandonAfter?: DurationOption | undefined
      }
    | undefined
  readonly replication?:
    | {
        /** -1: majority, 0: off, else that many. */
        readonly quorum?: number | undefined
        readonly degradationCount?: number | undefined
        readonly storeLease?: DurationOption | undefined
        readonly chunkBuffer?:
          | {
              readonly thresholdSizeMb?: number | undefined
              readonly thresholdAgeMinutes?: number | undefined
              readonly limitMb?: number | undefined
            }
          | undefined
      }
    | undefined
  readonly snapshot?:
    | {
        readonly thresholdRecords?: number | undefined
        readonly thresholdSizeMb?: number | undefined
        readonly thresholdAgeMinutes?: number | undefined
        readonly cleanupStrategy?: "auto" | "list" | "direct" | undefined
        readonly cleanupBatchSize?: number | undefined
        readonly cleanupBatchInterval?: DurationOption | undefined
        readonly keep?: number | undefined
        readonly history?: DurationOption | undefined
      }
    | undefined
  readonly compactionInterval?: DurationOption | undefined
  readonly limits?:
    | {
        readonly maxRequestBytes?: number | undefined
        readonly maxTxnOps?: number | undefined
        readonly quotaBytes?: number | undefined
      }
    | undefined
  readonly watch?: { readonly progressInterval?: DurationOption | undefined } | undefined
  readonly autoCompaction?:
    | { readonly mode?: "periodic" | undefined; readonly retention: DurationOption }
    | { readonly mode: "revision"; readonly retention: number }
    | undefined
  readonly compaction?:
    | { readonly batchLimit?: number | undefined; readonly sleepInterval?: DurationOption | undefined }
    | undefined
  readonly lease?: { readonly minTtl?: DurationOption | undefined } | undefined
  readonly auth?:
    | {
        readonly token?: string | undefined
        readonly tokenTtl?: DurationOption | undefined
        readonly bcryptCost?: number | undefined
        readonly clientCertAuth?: boolean | undefined
      }
    | undefined
  readonly log?:
    | {
        /**
         * `stderr` (the default), `effect`: the loggers of the program that the node is part of, or `none`. Nothing is ever
         * written to standard output.
         */
        readonly to?: "stderr" | "effect" | "none" | undefined
        /** Default `warn`; of a daemon `info`. With `effect` the program's own `MinimumLogLevel` counts. */
        readonly level?: "debug" | "info" | "warn" | "error" | undefined
        readonly format?: "text" | "json" | undefined
      }
    | undefined
  /** The network of a cluster in one process. */
  readonly network?: Network | undefined
}

/** Of a node with a real bucket, or a directory in its place. */
export interface NetsyOptions extends NodeOptions {
  readonly storage: StorageWord | StorageOptions
  /** Win over the environment, which the SDK reads otherwise (`AWS_…`). */
  readonly s3?: S3Overrides | undefined
  readonly gcs?: GcsOverrides | undefined
}

/** `host:port` each: for etcd's clients, for replication, for the election. */
export interface AddressOptions {
  readonly client?: string | undefined
  readonly peer?: string | undefined
  readonly election?: string | undefined
}

/** The ports of a daemon. */
export interface PortOptions {
  /** `host:port`; default 127.0.0.1 with the ports 2378, 2381, 8443 and 8080. Port 0: any free one. */
  readonly bind?: (AddressOptions & { readonly health?: string | undefined }) | undefined
  /** How others reach this node; default: as bound. */
  readonly advertise?: AddressOptions | undefined
  /** Paths of PEM files. Absent: plain text, on loopback only. */
  readonly tls?:
    | {
        readonly caCert: string
        readonly serverCert: string
        readonly serverKey: string
        readonly clientCert: string
        readonly clientKey: string
      }
    | undefined
  readonly http?:
    | {
        readonly gateway?: boolean | undefined
        readonly cors?: ReadonlyArray<string> | undefined
        readonly hostWhitelist?: ReadonlyArray<string> | undefined
      }
    | undefined
  readonly metrics?: { readonly level?: "basic" | "extensive" | undefined } | undefined
}

/** Of a node that also opens the ports of `netsy`. */
export interface DaemonOptions extends Omit<NetsyOptions, "network">, PortOptions {}
