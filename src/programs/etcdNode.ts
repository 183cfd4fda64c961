/**
 * The daemon of `netsy etcd`: the node with etcd's ports. Certificates are checked before any port opens, the metrics
 * ports open first, clients are let in when the node is Active.
 */
import { Effect, Layer } from "effect"
import * as IdentityEtcd from "../layers/IdentityEtcd.ts"
import * as LeadershipClientHttp from "../layers/LeadershipClientHttp.ts"
import * as LeadershipElector from "../layers/LeadershipElector.ts"
import * as LeadershipPeerPort from "../layers/LeadershipPeerPort.ts"
import * as PeerNetworkGrpc from "../layers/PeerNetworkGrpc.ts"
import * as ProbePortsHttp from "../layers/ProbePortsHttp.ts"
import * as ServiceManagerSystemd from "../layers/ServiceManagerSystemd.ts"
import { version } from "../core/version.ts"
import { HttpApi } from "../services/HttpApi.ts"
import { Log } from "../services/Log.ts"
import { ProbePorts } from "../services/ProbePorts.ts"
import { ServiceManager } from "../services/ServiceManager.ts"
import type { EtcdSettings, SettingsShape } from "../services/Settings.ts"
import { base, clientPort, cluster, loaded, stores } from "./node.ts"
import { untilFatal } from "./untilFatal.ts"

/** From here on the metrics ports answer for the node itself. */
const probes = Layer.effectDiscard(
  Effect.gen(function* () {
    const { handleProbes } = yield* HttpApi
    const { serve } = yield* ProbePorts
    serve(handleProbes)
  })
)

/** Said first, so that they are seen when the start fails. */
const warned = (warnings: ReadonlyArray<string>) =>
  Layer.effectDiscard(
    Log.use((log) =>
      Effect.sync(() => {
        for (const warning of warnings) log.warn(warning)
      })
    )
  )

const daemon = (settings: SettingsShape, warnings: ReadonlyArray<string>) =>
  Layer.mergeAll(loaded, probes).pipe(
    Layer.provideMerge(clientPort(settings)),
    Layer.provideMerge(LeadershipPeerPort.layer.pipe(Layer.provide(LeadershipElector.layer))),
    Layer.provideMerge(cluster(settings)),
    Layer.provideMerge(Layer.mergeAll(PeerNetworkGrpc.layerEtcd, LeadershipClientHttp.layer)),
    Layer.provideMerge(stores(settings)),
    Layer.provideMerge(ProbePortsHttp.layer),
    Layer.provideMerge(IdentityEtcd.layer()),
    Layer.provideMerge(ServiceManagerSystemd.layer),
    Layer.provideMerge(warned(warnings)),
    Layer.provideMerge(base(settings))
  )

/** What etcd says when it lets clients in; harnesses wait for the first of these lines. */
const announce = (log: Log["Service"], settings: SettingsShape, etcd: EtcdSettings): void => {
  log.info("ready to serve client requests")
  for (const { secure, text } of etcd.listenClient) {
    const message = secure
      ? "serving client traffic securely"
      : "serving client traffic insecurely; this is strongly discouraged!"
    log.info(message, { traffic: "grpc+http", address: text.replace(/^[a-z]+:\/\//, "") })
  }
  log.info("netsy_ready", { version, storage: settings.storage.provider, name: etcd.memberName })
}

export const etcdDaemon = (settings: SettingsShape, warnings: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const manager = yield* ServiceManager
    announce(yield* Log, settings, settings.etcd!)
    yield* manager.ready
    return yield* Effect.ensuring(untilFatal, manager.stopping)
  }).pipe(Effect.provide(daemon(settings, warnings)))
