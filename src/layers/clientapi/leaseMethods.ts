/** `etcdserverpb.Lease` over the Leases service. Who may do what with whose leases: rule L10. */
import { leaseGrantCost } from "../../core/txn/cost.ts"
import * as codec from "../../core/wire/codec/lease.ts"
import { type EtcdError, errors } from "../../core/wire/errors.ts"
import type { Access } from "../../services/Access.ts"
import type { Forwarding } from "../../services/Forwarding.ts"
import type { Leases } from "../../services/Leases.ts"
import type { Quota } from "../../services/Quota.ts"
import { decoded } from "./decode.ts"
import { type UnaryMethod, unaryMethod } from "./method.ts"
import type { StreamMethod } from "./streams.ts"

export interface LeaseOptions {
  readonly access: Access["Service"]
  readonly leases: Leases["Service"]
  readonly quota: Quota["Service"]
}

/** Requests of one stream that wait until it is known who sent them. */
const unidentifiedMax = 4_096

export const leaseMethods = ({ access, leases, quota }: LeaseOptions): ReadonlyMap<string, UnaryMethod> =>
  new Map([
    [
      "/etcdserverpb.Lease/LeaseGrant",
      unaryMethod(access, {
        request: codec.LeaseGrantRequest,
        encode: codec.LeaseGrantResponse.encode,
        allow: (a, caller) => a.user(caller),
        call: (request, reply) => {
          const full = quota.admit(leaseGrantCost)
          if (full === undefined) leases.grant(request, reply)
          else reply.fail(full)
        }
      })
    ],
    [
      "/etcdserverpb.Lease/LeaseRevoke",
      unaryMethod(access, {
        request: codec.LeaseRevokeRequest,
        encode: codec.LeaseRevokeResponse.encode,
        allow: (a, caller, { id }) => a.writeLease(caller, id),
        call: leases.revoke
      })
    ],
    [
      "/etcdserverpb.Lease/LeaseTimeToLive",
      unaryMethod(access, {
        request: codec.LeaseTimeToLiveRequest,
        encode: codec.LeaseTimeToLiveResponse.encode,
        allow: (a, caller, { id }) => a.readLease(caller, id),
        shows: true,
        call: leases.timeToLive
      })
    ],
    [
      "/etcdserverpb.Lease/LeaseLeases",
      unaryMethod(access, {
        request: codec.LeaseLeasesRequest,
        encode: codec.LeaseLeasesResponse.encode,
        allow: (a, caller) => {
          const refused = a.user(caller)
          if (refused !== undefined) return refused
          for (const id of leases.ids()) {
            const denied = a.readLease(caller, id)
            if (denied !== undefined) return denied
          }
          return undefined
        },
        shows: true,
        call: (_request, reply) => leases.list(reply)
      })
    ]
  ])

/** While authentication is on, requests are passed on in their order, each when its sender has been made out. */
export const keepAliveStream =
  (access: Access["Service"], forwarding: Forwarding["Service"]): StreamMethod =>
  (out, context) => {
    const stream = forwarding.keepAlives({
      send: (response) => out.send(codec.LeaseKeepAliveResponse.encode(response)),
      ended: out.end
    })
    const unidentified: Array<bigint> = []
    let identifying = false
    let passing = false
    let half = false
    let over = false

    const refuse = (error: EtcdError): void => {
      over = true
      stream.end(error)
    }
    const pass = (id: bigint): void => {
      if (!stream.renew(id)) refuse(errors.tooManyRequests)
    }
    const passNext = (id: bigint): void => {
      if (!access.enabled()) return pass(id)
      identifying = true
      access.identify(
        context,
        (caller) => {
          identifying = false
          const denied = access.writeLease(caller, id)
          if (denied !== undefined) refuse(denied)
          else pass(id)
          passAll()
        },
        refuse
      )
    }
    const passAll = (): void => {
      if (passing) return
      passing = true
      while (!identifying && !over && unidentified.length > 0) passNext(unidentified.shift()!)
      passing = false
      if (half && !identifying && !over) stream.end(undefined)
    }
    const take = ({ id }: codec.LeaseKeepAliveRequest): void => {
      if (!identifying && !access.enabled()) return pass(id)
      if (unidentified.length >= unidentifiedMax) return refuse(errors.tooManyRequests)
      unidentified.push(id)
      passAll()
    }
    return {
      message: (bytes) => {
        if (!over) {
          decoded(codec.LeaseKeepAliveRequest.name, bytes, codec.LeaseKeepAliveRequest.decode, take, refuse)
        }
      },
      drained: stream.drained,
      ended: () => {
        half = true
        passAll()
      },
      closed: () => {
        over = true
        unidentified.length = 0
        stream.close()
      }
    }
  }
