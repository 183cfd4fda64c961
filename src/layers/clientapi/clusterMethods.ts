/**
 * `etcdserverpb.Cluster`: the list of members, the removal of dead ones, and why nothing else is changed here. A node
 * joins by being started on the cluster's storage; nobody adds one beforehand.
 */
import { emptyBytes } from "../../core/log/record.ts"
import { isPeerUrl } from "../../core/wire/peerUrl.ts"
import * as codec from "../../core/wire/codec/cluster.ts"
import { type EtcdError, errors } from "../../core/wire/errors.ts"
import type { Access } from "../../services/Access.ts"
import type { Kv } from "../../services/Kv.ts"
import type { Membership } from "../../services/Membership.ts"
import type { NodeStatus } from "../../services/NodeStatus.ts"
import { type Members, notHere } from "./members.ts"
import { type Method, type UnaryMethod, unaryMethod } from "./method.ts"

export interface ClusterOptions {
  readonly access: Access["Service"]
  readonly kv: Kv["Service"]
  readonly membership: Membership["Service"]
  readonly status: NodeStatus["Service"]
  readonly members: Pick<Members, "remove">
}

export const clusterMethods = ({
  access,
  kv,
  members,
  membership,
  status
}: ClusterOptions): ReadonlyMap<string, UnaryMethod> => {
  const exists = (id: bigint): boolean => membership.members().some((member) => member.id === id)

  /** A change: what etcd says of a wrong one, else the reason why there is nothing to change. */
  const change = <Request, Response>(
    request: Method<Request, Response>["request"],
    refusal: (request: Request) => EtcdError
  ): UnaryMethod =>
    unaryMethod<Request, Response>(access, {
      request,
      encode: () => emptyBytes,
      allow: (a, caller) => a.root(caller),
      call: (message, reply) => reply.fail(refusal(message))
    })

  return new Map([
    [
      "/etcdserverpb.Cluster/MemberList",
      unaryMethod(access, {
        request: codec.MemberListRequest,
        encode: codec.MemberListResponse.encode,
        allow: (a, caller) => a.user(caller),
        call: ({ linearizable }, reply) => {
          const answer = (): void => reply.succeed({ header: status.header(0), members: membership.members() })
          if (linearizable) kv.barrier({ succeed: answer, fail: reply.fail })
          else answer()
        }
      })
    ],
    [
      "/etcdserverpb.Cluster/MemberAdd",
      change(codec.MemberAddRequest, ({ peerUrls }) =>
        areUrls(peerUrls) ? notHere("a member cannot be added by hand") : errors.badMemberUrls
      )
    ],
    [
      "/etcdserverpb.Cluster/MemberRemove",
      unaryMethod(access, {
        request: codec.MemberRemoveRequest,
        encode: codec.MemberRemoveResponse.encode,
        allow: (a, caller) => a.root(caller),
        call: ({ id }, reply) => {
          if (!exists(id)) return reply.fail(errors.memberNotFound)
          const removed = (): void =>
            reply.succeed({
              header: status.header(0),
              members: membership.members().filter((member) => member.id !== id)
            })
          members.remove(id, { succeed: removed, fail: reply.fail })
        }
      })
    ],
    [
      "/etcdserverpb.Cluster/MemberUpdate",
      change(codec.MemberUpdateRequest, ({ id, peerUrls }) => {
        if (!areUrls(peerUrls)) return errors.badMemberUrls
        return exists(id) ? notHere("a member's addresses are its own settings") : errors.memberNotFound
      })
    ],
    [
      "/etcdserverpb.Cluster/MemberPromote",
      change(codec.MemberPromoteRequest, ({ id }) => (exists(id) ? errors.memberNotLearner : errors.memberNotFound))
    ]
  ])
}

const areUrls = (urls: ReadonlyArray<string>): boolean => urls.length > 0 && urls.every(isPeerUrl)
