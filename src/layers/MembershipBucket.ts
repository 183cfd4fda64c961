/**
 * `Membership` over the bucket. The layer is built when this node is registered, however long the bucket takes to answer;
 * meanwhile the status says so. A registration is kept on a clean stop (Netsy 1.x deletes it): the start counter in it is
 * what unmasks a disk that was put back to an older state, and its deletion declares a node dead.
 */
import { Clock, Effect, Exit, Layer, Random } from "effect"
import { arbiterKey, decodeArbiter, type NodeName } from "../core/election/arbiter.ts"
import {
  decodeMembers,
  decodeRegistration,
  encodeMembers,
  encodeRegistration,
  isOlderDisk,
  type Members,
  membersKey,
  nodeKey,
  type Registration,
  withMembers
} from "../core/election/registry.ts"
import { catalog } from "../core/metrics/catalog.ts"
import type { Member } from "../core/wire/codec/cluster.ts"
import { ClusterView } from "../services/ClusterView.ts"
import { LocalStore, type LocalStoreFailed } from "../services/LocalStore.ts"
import { Log } from "../services/Log.ts"
import { Membership, MembershipInvalid, type RegisteredNode } from "../services/Membership.ts"
import { Metrics } from "../services/Metrics.ts"
import { NodeStatus } from "../services/NodeStatus.ts"
import { type Denied, ObjectStore } from "../services/ObjectStore.ts"
import { Settings } from "../services/Settings.ts"
import { makeLoadingStage } from "./internal/loadingStage.ts"
import { advertisedUrls } from "./membership/advertisedUrls.ts"
import { conditionalUpdate } from "./membership/conditionalUpdate.ts"

/** Between two attempts to register while the bucket does not answer. */
const retryMillis = 500

export const layer: Layer.Layer<
  Membership,
  MembershipInvalid | LocalStoreFailed | Denied,
  ObjectStore | LocalStore | ClusterView | Settings | NodeStatus | Metrics | Log
> = Layer.effect(
  Membership,
  Effect.gen(function* () {
    const store = yield* ObjectStore
    const local = yield* LocalStore
    const view = yield* ClusterView
    const settings = yield* Settings
    const status = yield* NodeStatus
    const log = yield* Log
    const metrics = yield* Metrics
    const clock = yield* Clock.Clock
    const stage = makeLoadingStage(log, metrics, clock)
    const registrationSeconds = metrics.histogram(catalog.nodeRegistrationDuration)
    const update = conditionalUpdate(store, log)
    const run = (yield* Random.nextIntBetween(0, 2 ** 52)).toString(16)

    let incarnation = local.opened.incarnation
    let starts = local.opened.starts

    const registrationAt = (
      key: string,
      body: Uint8Array | undefined
    ): Effect.Effect<Registration | undefined, MembershipInvalid> => {
      const found = body === undefined ? undefined : decodeRegistration(body)
      return typeof found === "string"
        ? Effect.fail(new MembershipInvalid({ key, reason: found }))
        : Effect.succeed(found)
    }

    /** Undefined: there is none yet. */
    const membersAt = (body: Uint8Array | undefined): Effect.Effect<Members | undefined, MembershipInvalid> => {
      const invalid = (reason: string) => Effect.fail(new MembershipInvalid({ key: membersKey, reason }))
      const found = body === undefined ? undefined : decodeMembers(body)
      if (typeof found === "string") return invalid(found)
      if (found === undefined || found.clusterId === "" || found.clusterId === settings.clusterId) {
        return Effect.succeed(found)
      }
      return invalid(
        `the bucket belongs to cluster ${JSON.stringify(found.clusterId)}, this node is configured for cluster_id ${JSON.stringify(
          settings.clusterId
        )}`
      )
    }

    const bodyOf = (key: string) =>
      store.get(key).pipe(
        Effect.map((object): Uint8Array | undefined => object.body),
        Effect.catchTag("NotFound", () => Effect.succeed(undefined))
      )

    /** Before anything is written: a bucket of another cluster is left as it is. */
    const checkCluster = Effect.gen(function* () {
      const members = yield* membersAt(yield* bodyOf(membersKey))
      const memberId = members?.members.get(settings.nodeId)
      if (memberId !== undefined) status.setMember(memberId)
    })

    const ownRegistration = (): Uint8Array =>
      encodeRegistration({
        nodeId: settings.nodeId,
        clientAddress: settings.advertise.client,
        peerAddress: settings.advertise.peer,
        incarnation,
        starts,
        run
      })

    const register = Effect.gen(function* () {
      yield* checkCluster
      const key = nodeKey(settings.nodeId)
      const before = yield* update(key, (body) =>
        Effect.gen(function* () {
          const found = yield* registrationAt(key, body)
          // Ours: an attempt before this one has landed although its answer was lost.
          if (found?.run === run) return { write: undefined, value: undefined }
          if (isOlderDisk(found, incarnation, starts)) {
            const registered = found?.starts ?? 0
            const old = { incarnation, starts }
            incarnation = yield* local.newIncarnation
            starts = 1
            log.warn("older_disk_found", { key, ...old, registered_starts: registered, new_incarnation: incarnation })
          }
          return { write: ownRegistration(), value: found }
        })
      )
      if (before !== undefined && before.clientAddress !== settings.advertise.client) {
        log.warn("node_address_changed", {
          target_node_id: settings.nodeId,
          from: before.clientAddress,
          to: settings.advertise.client
        })
      }
    })

    const readTerm = Effect.gen(function* () {
      const body = yield* bodyOf(arbiterKey)
      const arbiter = body === undefined ? undefined : decodeArbiter(body)
      // What cannot be read is the Elector's to complain about.
      return arbiter === undefined || typeof arbiter === "string" ? 0 : arbiter.term
    })

    let termAtStart = 0
    const registered = Effect.gen(function* () {
      while (
        !(yield* register.pipe(
          Effect.andThen(readTerm),
          Effect.map((term) => {
            termAtStart = term
            return true
          }),
          Effect.catchTag("Unavailable", (error) => {
            status.setWaiting({ what: `the bucket: ${error.message}`, until: undefined })
            return Effect.as(Effect.sleep(retryMillis), false)
          })
        ))
      );
    })
    const startedAt = clock.monotonicTimeNanosUnsafe()
    yield* Effect.onExit(stage("registration", registered), (exit) =>
      Effect.sync(() =>
        registrationSeconds.observe(Number(clock.monotonicTimeNanosUnsafe() - startedAt) / 1e9, {
          result: Exit.isSuccess(exit) ? "success" : "error"
        })
      )
    )
    status.setWaiting(undefined)
    const self: NodeName = { nodeId: settings.nodeId, incarnation }
    view.settle(self)
    log.info("node_registered", { target_node_id: self.nodeId, incarnation, starts, trigger: "startup" })

    const read = (nodeId: string) =>
      Effect.flatMap(bodyOf(nodeKey(nodeId)), (body) => registrationAt(nodeKey(nodeId), body))

    /** Ids are never given twice and never taken back, so what was read once holds. */
    const known = new Map<string, bigint>()
    const allocateAll = (nodeIds: ReadonlyArray<string>) =>
      Effect.gen(function* () {
        if (nodeIds.every((nodeId) => known.has(nodeId))) return
        const { members } = yield* update(membersKey, (body) =>
          Effect.map(membersAt(body), (found) => {
            const next = withMembers(found ?? { clusterId: settings.clusterId, members: new Map() }, nodeIds)
            return { write: next === found ? undefined : encodeMembers(next), value: next }
          })
        )
        for (const [nodeId, memberId] of members) known.set(nodeId, memberId)
      })

    const registeredKeys = Effect.gen(function* () {
      const keys: Array<string> = []
      let after: string | undefined
      do {
        const page = yield* store.list({ prefix: "nodes/", ...(after === undefined ? {} : { after }) })
        for (const object of page.objects) if (object.key.endsWith(".json")) keys.push(object.key)
        after = page.next
      } while (after !== undefined)
      return keys
    })

    const readAll = Effect.gen(function* () {
      const registrations = new Map<string, Registration>()
      for (const key of yield* registeredKeys) {
        const body = yield* bodyOf(key)
        const registration = body === undefined ? "deleted meanwhile" : decodeRegistration(body)
        if (typeof registration === "string") log.warn("registration_skipped", { key, reason: registration })
        else if (key !== nodeKey(registration.nodeId)) {
          log.warn("registration_skipped", { key, reason: `it is of ${JSON.stringify(registration.nodeId)}` })
        } else registrations.set(registration.nodeId, registration)
      }
      yield* allocateAll([...registrations.keys()].sort())
      return [...registrations.values()].map((registration): RegisteredNode => {
        return { registration, memberId: known.get(registration.nodeId)! }
      })
    })

    const registerAgain = update(nodeKey(settings.nodeId), (body) =>
      Effect.succeed({ write: body === undefined ? ownRegistration() : undefined, value: undefined })
    ).pipe(
      Effect.andThen(
        Effect.sync(() => log.warn("node_registered", { target_node_id: self.nodeId, incarnation, trigger: "again" }))
      )
    )

    const urls = advertisedUrls(settings)

    return Membership.of({
      self: () => self,
      termAtStart: () => termAtStart,
      members: (): ReadonlyArray<Member> =>
        view
          .current()
          .nodes.map(({ name, memberId, peerAddress, clientAddress }) => {
            const own = name.nodeId === self.nodeId
            return {
              id: memberId,
              name: own ? (settings.etcd?.memberName ?? name.nodeId) : name.nodeId,
              peerUrls: urls.peer(peerAddress, own),
              clientUrls: urls.client(clientAddress, own),
              isLearner: false
            }
          })
          .sort((a, b) => (a.id < b.id ? -1 : 1)),
      readAll,
      read,
      registerAgain,
      lookUp: read,
      allocate: (nodeId) => Effect.map(allocateAll([nodeId]), () => known.get(nodeId)!),
      deregister: (nodeId) => store.delete(nodeKey(nodeId))
    })
  })
)
