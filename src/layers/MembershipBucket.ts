/**
 * `Membership` over the bucket. A registration is kept on a clean stop (Netsy 1.x deletes it): the start counter in it
 * is what unmasks a disk that was put back to an older state, and its deletion declares a node dead.
 */
import { Effect, Layer, Random } from "effect"
import type { NodeName } from "../core/election/arbiter.ts"
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
import type { Member } from "../core/wire/codec/cluster.ts"
import { LocalStore } from "../services/LocalStore.ts"
import { Log } from "../services/Log.ts"
import { Membership, MembershipInvalid } from "../services/Membership.ts"
import { NodeStatus } from "../services/NodeStatus.ts"
import { type Condition, ObjectStore, Unavailable } from "../services/ObjectStore.ts"
import { Settings } from "../services/Settings.ts"

/** A conditional write that lost is tried again with what is there now; more losses than this mean a quarrel. */
const casAttemptsMax = 20

export const layer: Layer.Layer<Membership, never, ObjectStore | LocalStore | Settings | NodeStatus | Log> =
  Layer.effect(
    Membership,
    Effect.gen(function* () {
      const store = yield* ObjectStore
      const local = yield* LocalStore
      const settings = yield* Settings
      const status = yield* NodeStatus
      const log = yield* Log
      const { etcd } = settings
      const scheme = settings.tls === undefined ? "http" : "https"
      /** As the flags of etcd say it; a registration holds one address without its scheme. */
      const advertised = (urls: ReadonlyArray<string> | undefined, address: string, own: boolean) => {
        if (own && urls !== undefined) return urls
        return [`${urls?.[0]?.startsWith("https:") === true ? "https" : scheme}://${address}`]
      }

      let incarnation = local.opened.incarnation
      let starts = local.opened.starts
      const run = (yield* Random.nextIntBetween(0, 2 ** 52)).toString(16)
      let members: Members = { clusterId: settings.clusterId, members: new Map() }
      const registrations = new Map<string, Registration>()

      const read = (key: string) =>
        store.get(key).pipe(
          Effect.map((object) => ({ body: object.body, condition: { ifMatch: object.etag } as Condition })),
          Effect.catchTag("NotFound", () =>
            Effect.succeed({ body: undefined, condition: { ifAbsent: true } as Condition })
          )
        )

      /** Read, change, write with a condition; again when somebody else was faster or the outcome is unknown. */
      const update = <A, E>(
        key: string,
        change: (body: Uint8Array | undefined) => Effect.Effect<{ write: Uint8Array | undefined; value: A }, E>
      ) =>
        Effect.gen(function* () {
          for (let attempt = 1; attempt <= casAttemptsMax; attempt++) {
            const found = yield* read(key)
            const { write, value } = yield* change(found.body)
            if (write === undefined) return value
            const landed = yield* store.put(key, write, found.condition).pipe(
              Effect.as(true),
              Effect.catchTag(["PreconditionFailed", "Conflict", "Unavailable"], (error) =>
                Effect.sync(() => {
                  log.warn("conditional_write_retried", { key, attempt, error: error.message })
                  return false
                })
              )
            )
            if (landed) return value
            yield* Effect.sleep(Math.min(1_000, 25 * 2 ** attempt))
          }
          return yield* new Unavailable({
            operation: "PUT",
            key,
            reason: `lost ${casAttemptsMax} conditional writes in a row`
          })
        })

      const register = Effect.gen(function* () {
        const key = nodeKey(settings.nodeId)
        const before = yield* update(key, (body) =>
          Effect.gen(function* () {
            const found = body === undefined ? undefined : decodeRegistration(body)
            if (typeof found === "string") return yield* new MembershipInvalid({ key, reason: found })
            // Ours: an attempt before this one has landed although its answer was lost.
            if (found?.run === run) return { write: undefined, value: undefined }
            if (isOlderDisk(found, incarnation, local.opened.starts)) {
              incarnation = yield* local.newIncarnation
              starts = 1
              log.warn("older_disk_found", {
                key,
                starts: local.opened.starts,
                registered_starts: found?.starts ?? 0,
                incarnation
              })
            }
            const own: Registration = {
              nodeId: settings.nodeId,
              clientAddress: settings.advertise.client,
              peerAddress: settings.advertise.peer,
              incarnation,
              starts,
              run
            }
            registrations.set(settings.nodeId, own)
            return { write: encodeRegistration(own), value: found }
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

      const listNodeIds = Effect.gen(function* () {
        const keys: Array<string> = []
        let after: string | undefined
        do {
          const page = yield* store.list({ prefix: "nodes/", ...(after === undefined ? {} : { after }) })
          for (const object of page.objects) if (object.key.endsWith(".json")) keys.push(object.key)
          after = page.next
        } while (after !== undefined)
        for (const key of keys) {
          const object = yield* store.get(key).pipe(Effect.catchTag("NotFound", () => Effect.succeed(undefined)))
          const registration = object === undefined ? "gone" : decodeRegistration(object.body)
          if (typeof registration === "string") log.warn("registration_skipped", { key, reason: registration })
          else registrations.set(registration.nodeId, registration)
        }
        return [...registrations.keys()].sort()
      })

      const allocate = Effect.gen(function* () {
        const nodeIds = yield* listNodeIds
        members = yield* update(membersKey, (body) =>
          Effect.gen(function* () {
            const found =
              body === undefined
                ? { clusterId: settings.clusterId, members: new Map<string, bigint>() }
                : decodeMembers(body)
            if (typeof found === "string") return yield* new MembershipInvalid({ key: membersKey, reason: found })
            if (found.clusterId !== "" && found.clusterId !== settings.clusterId) {
              return yield* new MembershipInvalid({
                key: membersKey,
                reason: `the bucket belongs to cluster ${JSON.stringify(found.clusterId)}, this node is configured for cluster_id ${JSON.stringify(
                  settings.clusterId
                )}`
              })
            }
            const next = withMembers(found, nodeIds)
            return { write: body !== undefined && next === found ? undefined : encodeMembers(next), value: next }
          })
        )
        const memberId = members.members.get(settings.nodeId)!
        status.setMember(memberId)
        log.info("node_registered", { target_node_id: settings.nodeId, member_id: memberId, trigger: "startup" })
        return memberId
      })

      return Membership.of({
        self: (): NodeName => ({ nodeId: settings.nodeId, incarnation }),
        register,
        allocate,
        members: (): ReadonlyArray<Member> =>
          [...members.members]
            .filter(([nodeId]) => registrations.has(nodeId))
            .map(([nodeId, id]) => {
              const { clientAddress, peerAddress } = registrations.get(nodeId)!
              const own = nodeId === settings.nodeId
              return {
                id,
                name: own ? (etcd?.memberName ?? nodeId) : nodeId,
                peerUrls: advertised(etcd?.advertisePeerUrls, peerAddress, own),
                clientUrls: advertised(etcd?.advertiseClientUrls, clientAddress, own),
                isLearner: false
              }
            })
            .sort((a, b) => (a.id < b.id ? -1 : 1))
      })
    })
  )
