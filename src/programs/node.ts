/**
 * The whole node as layers: `embedded` is a node inside a program, `Client`, `Kv` and `WatchHub` without a socket; `daemon`
 * has the ports. Reads top-down like a table of contents; which layer provides a service is decided only here.
 */
import { join } from "node:path"
import { Effect, Layer } from "effect"
import { defaultStoreLeaseMillis } from "../core/election/arbiter.ts"
import * as AccessAuth from "../layers/AccessAuth.ts"
import * as AlarmsPrimary from "../layers/AlarmsPrimary.ts"
import * as AuthPrimary from "../layers/AuthPrimary.ts"
import * as AuthTokensJwt from "../layers/AuthTokensJwt.ts"
import * as AuthTokensPeers from "../layers/AuthTokensPeers.ts"
import * as AuthTokensSimple from "../layers/AuthTokensSimple.ts"
import * as AutoCompactorClock from "../layers/AutoCompactorClock.ts"
import * as ChunkBufferBucket from "../layers/ChunkBufferBucket.ts"
import * as ClientApiEtcd from "../layers/ClientApiEtcd.ts"
import * as ClientListenerGrpc from "../layers/ClientListenerGrpc.ts"
import * as ClientLocal from "../layers/ClientLocal.ts"
import * as ClusterStatusPeers from "../layers/ClusterStatusPeers.ts"
import * as ClusterViewMemory from "../layers/ClusterViewMemory.ts"
import * as CompactorLocal from "../layers/CompactorLocal.ts"
import * as ElectionListenerHttp from "../layers/ElectionListenerHttp.ts"
import * as ElectionMemory from "../layers/ElectionMemory.ts"
import * as ElectorBucket from "../layers/ElectorBucket.ts"
import * as EtcdExportBbolt from "../layers/EtcdExportBbolt.ts"
import * as EtcdMetrics from "../layers/EtcdMetrics.ts"
import * as ForwardingPeers from "../layers/ForwardingPeers.ts"
import * as HealthServerHttp from "../layers/HealthServerHttp.ts"
import * as HeartbeatCluster from "../layers/HeartbeatCluster.ts"
import * as HistoryBucket from "../layers/HistoryBucket.ts"
import * as HttpApiEtcd from "../layers/HttpApiEtcd.ts"
import * as IdentityPlain from "../layers/IdentityPlain.ts"
import * as IdentityTls from "../layers/IdentityTls.ts"
import * as KvPrimary from "../layers/KvPrimary.ts"
import * as LeadershipClientHttp from "../layers/LeadershipClientHttp.ts"
import * as LeadershipClientMemory from "../layers/LeadershipClientMemory.ts"
import * as LeadershipElector from "../layers/LeadershipElector.ts"
import * as LeasesReplicated from "../layers/LeasesReplicated.ts"
import * as LocalStoreMetered from "../layers/LocalStoreMetered.ts"
import * as LocalStoreSqlite from "../layers/LocalStoreSqlite.ts"
import * as LogStderr from "../layers/LogStderr.ts"
import * as MembershipBucket from "../layers/MembershipBucket.ts"
import * as MetricsPrometheus from "../layers/MetricsPrometheus.ts"
import * as NodeLocal from "../layers/NodeLocal.ts"
import * as NodeReportsLocal from "../layers/NodeReportsLocal.ts"
import * as NodeStatusMemory from "../layers/NodeStatusMemory.ts"
import * as ObjectStoreDirectory from "../layers/ObjectStoreDirectory.ts"
import * as ObjectStoreGcs from "../layers/ObjectStoreGcs.ts"
import * as ObjectStoreMetered from "../layers/ObjectStoreMetered.ts"
import * as ObjectStoreS3 from "../layers/ObjectStoreS3.ts"
import * as PasswordsBcrypt from "../layers/PasswordsBcrypt.ts"
import * as PeerNetworkGrpc from "../layers/PeerNetworkGrpc.ts"
import * as PeerNetworkMemory from "../layers/PeerNetworkMemory.ts"
import * as QuotaLocal from "../layers/QuotaLocal.ts"
import * as ReignBucket from "../layers/ReignBucket.ts"
import * as ReplicatedStateLog from "../layers/ReplicatedStateLog.ts"
import * as ReplicatorCluster from "../layers/ReplicatorCluster.ts"
import * as SettingsValue from "../layers/SettingsValue.ts"
import * as SnapshotterBucket from "../layers/SnapshotterBucket.ts"
import * as StateMetrics from "../layers/StateMetrics.ts"
import * as SupervisorFatal from "../layers/SupervisorFatal.ts"
import * as WatchHubHistory from "../layers/WatchHubHistory.ts"
import { ClusterView } from "../services/ClusterView.ts"
import { Elector } from "../services/Elector.ts"
import type { LocalStore } from "../services/LocalStore.ts"
import type { Log } from "../services/Log.ts"
import { NodeStatus } from "../services/NodeStatus.ts"
import type { ObjectStore } from "../services/ObjectStore.ts"
import type { Settings, SettingsShape } from "../services/Settings.ts"

/** What everything else stands on; opens nothing but the log. */
export const baseWith = <E>(settings: SettingsShape, log: Layer.Layer<Log, E, Settings>) =>
  NodeStatusMemory.layer.pipe(
    Layer.provideMerge(Layer.mergeAll(log, MetricsPrometheus.layer, SupervisorFatal.layer)),
    Layer.provideMerge(SettingsValue.layer(settings))
  )

export const base = (settings: SettingsShape) => baseWith(settings, LogStderr.layer)

/** What a program that embeds a node may say about its connections. */
export interface StoreOverrides {
  readonly s3?: ObjectStoreS3.S3Overrides | undefined
  readonly gcs?: ObjectStoreGcs.GcsOverrides | undefined
}

export const objectStore = (settings: SettingsShape, overrides: StoreOverrides = {}) => {
  switch (settings.storage.provider) {
    case "directory":
      return ObjectStoreDirectory.layer
    case "gcs":
      return ObjectStoreGcs.layer(overrides.gcs)
    case "s3":
      return ObjectStoreS3.layer(overrides.s3)
  }
}

const leaseOf = (settings: SettingsShape, isAlone: boolean): number =>
  settings.replication.storeLeaseMillis ?? defaultStoreLeaseMillis(settings.storage.provider, isAlone)

/** A node that is alone renews more seldom; that it has company is known before others could wait for its lease. */
const reign = (settings: SettingsShape) =>
  Layer.unwrap(
    ClusterView.use((view) =>
      Effect.succeed(ReignBucket.layer({ leaseMillis: () => leaseOf(settings, view.current().nodes.length <= 1) }))
    )
  )

/** How logged-in users are known; keys that cannot be used end the start before the node asks for its term. */
const logins = ({ auth }: SettingsShape) =>
  Layer.mergeAll(
    PasswordsBcrypt.layer,
    auth.tokens.kind === "jwt" ? AuthTokensJwt.layer(auth.tokens) : AuthTokensSimple.layer(auth.tokens)
  )

/** Simple tokens live on the node that gave them; others ask for them. */
const sharedTokens = ({ auth: { tokens } }: SettingsShape) =>
  tokens.kind === "simple" ? AuthTokensPeers.layer({ ttlSeconds: tokens.ttlSeconds }) : Layer.empty

/**
 * `Kv`, `WatchHub` and what they are made of, over the bucket, the local disk and the other nodes. Built when the node can
 * serve: as Active Primary, or as a Replica that has caught up.
 */
export const node = (settings: SettingsShape) =>
  Layer.mergeAll(
    StateMetrics.layer,
    EtcdMetrics.layer,
    QuotaLocal.layer,
    AutoCompactorClock.layer,
    EtcdExportBbolt.layer,
    ForwardingPeers.layer()
  ).pipe(
    Layer.provideMerge(
      Layer.mergeAll(KvPrimary.layer, LeasesReplicated.layer, AlarmsPrimary.layer, AccessAuth.layer, AuthPrimary.layer)
    ),
    Layer.provideMerge(sharedTokens(settings)),
    Layer.provideMerge(ReplicatedStateLog.layer),
    Layer.provideMerge(Layer.mergeAll(WatchHubHistory.layer, CompactorLocal.layer, SnapshotterBucket.layer)),
    Layer.provideMerge(ReplicatorCluster.layer),
    Layer.provideMerge(Layer.mergeAll(reign(settings), ChunkBufferBucket.layer)),
    Layer.provideMerge(logins(settings))
  )

/** Who is there and who is chosen: works from the start on, while the node still waits for its part. */
export const cluster = (settings: SettingsShape) =>
  HeartbeatCluster.layer.pipe(
    Layer.provideMerge(ElectorBucket.layer({ leaseMillis: leaseOf(settings, false) })),
    Layer.provideMerge(NodeReportsLocal.layer),
    Layer.provideMerge(MembershipBucket.layer),
    Layer.provideMerge(Layer.mergeAll(ClusterViewMemory.layer, HistoryBucket.layer))
  )

/** Healthy from here on: for whoever asks, everything below is there. The first to hear that the node stops. */
export const loaded = Layer.effectDiscard(
  Effect.gen(function* () {
    const elector = yield* Elector
    yield* Effect.addFinalizer(() => elector.standAside)
    yield* NodeStatus.use((status) => Effect.sync(status.setLoaded))
  })
)

/** The database in the data directory. */
export const localDisk = (settings: SettingsShape) =>
  LocalStoreSqlite.layer({ path: join(settings.dataDir, "db.sqlite3"), compaction: settings.compaction })

/** A bucket and a local disk, counted. */
export const storesOf = <E1, R1, E2, R2>(
  objects: Layer.Layer<ObjectStore, E1, R1>,
  disk: Layer.Layer<LocalStore, E2, R2>
) =>
  Layer.mergeAll(
    ObjectStoreMetered.layer.pipe(Layer.provide(objects)),
    LocalStoreMetered.layer.pipe(Layer.provide(disk))
  )

/** The bucket and the local disk that the settings name. */
export const stores = (settings: SettingsShape) => storesOf(objectStore(settings), localDisk(settings))

/** What a program calls: the etcd API, and the client over it. The first to stop: nobody is left waiting. */
export const programs = Layer.mergeAll(ClientLocal.layer, NodeLocal.layer)

/** The network of the nodes of one process. */
const memoryNetwork = (peers: PeerNetworkMemory.MemoryPeers, elections: LeadershipClientMemory.MemoryElections) =>
  Layer.mergeAll(PeerNetworkMemory.layer(peers), LeadershipClientMemory.layer(elections))

/** A node inside a program, over stores and a base: no socket is opened. */
export const embedded = (
  settings: SettingsShape,
  peers: PeerNetworkMemory.MemoryPeers,
  elections: LeadershipClientMemory.MemoryElections
) =>
  programs.pipe(
    Layer.provideMerge(loaded),
    Layer.provideMerge(ClientApiEtcd.layer),
    Layer.provideMerge(node(settings)),
    Layer.provideMerge(Layer.mergeAll(ElectionMemory.layer(elections), ClusterStatusPeers.layer)),
    Layer.provideMerge(LeadershipElector.layer),
    Layer.provideMerge(cluster(settings)),
    Layer.provideMerge(memoryNetwork(peers, elections))
  )

/** The client port with everything behind it; opens when the node is Active. */
export const clientPort = (settings: SettingsShape) =>
  ClientListenerGrpc.layer().pipe(
    Layer.provideMerge(HttpApiEtcd.layer()),
    Layer.provideMerge(ClientApiEtcd.layer),
    Layer.provideMerge(node(settings))
  )

/** The node with its client, peer and election port, over stores, the health port and a base. */
export const ports = (settings: SettingsShape) =>
  loaded.pipe(
    Layer.provideMerge(clientPort(settings)),
    Layer.provideMerge(
      Layer.mergeAll(
        ElectionListenerHttp.layer.pipe(Layer.provide(LeadershipElector.layer)),
        ClusterStatusPeers.onHealthPort
      )
    ),
    Layer.provideMerge(ClusterStatusPeers.layer),
    Layer.provideMerge(cluster(settings)),
    Layer.provideMerge(Layer.mergeAll(PeerNetworkGrpc.layer, LeadershipClientHttp.layer))
  )

export const healthPort = (settings: SettingsShape) =>
  HealthServerHttp.layer.pipe(Layer.provideMerge(settings.tls === undefined ? IdentityPlain.layer : IdentityTls.layer))

/**
 * The daemon: the node and its four ports. Certificates are checked before any port opens, health opens first, then the
 * peer and the election port; clients are let in when the node can serve.
 */
export const daemon = (settings: SettingsShape) =>
  ports(settings).pipe(
    Layer.provideMerge(stores(settings)),
    Layer.provideMerge(healthPort(settings)),
    Layer.provideMerge(base(settings))
  )
