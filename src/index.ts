/**
 * What `import … from "netsy"` gives: `Netsy` to have a node inside a program, `Client` to use it, `Txn` for transactions,
 * the errors, and the parts for whoever composes a node of their own.
 */
export * as Netsy from "./programs/embed.ts"

export { Client } from "./services/Client.ts"
export type {
  ChangeEvent,
  ClientShape,
  Leadership,
  Lease,
  LeaseInfo,
  LeaseOptions,
  Lock,
  NodeStatusInfo,
  ProgressEvent,
  TypedClient,
  TypedEntry,
  WatchEvent,
  WatchOptions
} from "./services/Client.ts"
export * from "./services/ClientError.ts"
export { Node, NodeFailed } from "./services/Node.ts"
export { Entry } from "./core/client/Entry.ts"
export type { Keys } from "./core/client/keys.ts"
export type {
  DeleteOptions,
  DeleteResult,
  GetOptions,
  PutOptions,
  PutResult,
  RangeOptions,
  RangeResult,
  SortBy
} from "./core/client/requests.ts"
export type { Bytes } from "./core/client/text.ts"
/** Comparisons and operations of a transaction, for `client.txn`. */
export * as Txn from "./core/client/txn.ts"

export { ClientApi } from "./services/ClientApi.ts"
export { ClientListener } from "./services/ClientListener.ts"
export { Kv } from "./services/Kv.ts"
export { Leases } from "./services/Leases.ts"
export { LocalStore, LocalStoreFailed } from "./services/LocalStore.ts"
export { Log } from "./services/Log.ts"
export { Settings } from "./services/Settings.ts"
export { WatchHub } from "./services/WatchHub.ts"
/** The port to object storage, for stores of one's own: `ObjectStoreError.NotFound`, … are what it may fail with. */
export { ObjectStore } from "./services/ObjectStore.ts"
export type { Condition, ListPage, ObjectBody, ObjectInfo, StreamedBody } from "./services/ObjectStore.ts"
/** What an object store may fail with, by name: `ObjectStoreError.NotFound`, … */
export * as ObjectStoreError from "./services/ObjectStore.ts"
/** The node's disk in memory: for tests, and for a node whose data lives in the bucket alone. */
export * as LocalStoreMemory from "./layers/LocalStoreMemory.ts"
/** The node's disk as a SQLite database in a thread of its own: what a daemon has. */
export * as LocalStoreSqlite from "./layers/LocalStoreSqlite.ts"
/** A directory as the bucket; one process at a time. */
export * as ObjectStoreDirectory from "./layers/ObjectStoreDirectory.ts"
/** Google Cloud Storage as the bucket. */
export * as ObjectStoreGcs from "./layers/ObjectStoreGcs.ts"
/** A bucket in memory: for tests; a store that goes with the process. */
export * as ObjectStoreMemory from "./layers/ObjectStoreMemory.ts"
/** S3, or what speaks its protocol, as the bucket. */
export * as ObjectStoreS3 from "./layers/ObjectStoreS3.ts"
/** A node's settings, resolved before. */
export * as SettingsValue from "./layers/SettingsValue.ts"
