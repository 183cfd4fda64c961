/**
 * `etcdserverpb.Cluster`: the list of members, and why it is not changed here. A node joins by being started on the
 * cluster's storage; nobody adds or removes one beforehand.
 */
import { emptyBytes } from "../../core/log/record.ts"
import { isPeerUrl } from "../../core/wire/peerUrl.ts"
import * as codec from "../../core/wire/codec/cluster.ts"
import { Code, type EtcdError, errors, etcdError } from "../../core/wire/errors.ts"
import type { Access } from "../../services/Access.ts"
import type { Kv } from "../../services/Kv.ts"
import type { Membership } from "../../services/Membership.ts"
import type { NodeStatus } from "../../services/NodeStatus.ts"
import { type Method, type UnaryMethod, unaryMethod } from "./method.ts"

const notHere = (what: string): EtcdError =>
  etcdError(
    Code.FailedPrecondition,
    `netsy: ${what}: membership follows from the storage: a node joins when it is started with the cluster's storage ` +
      "and leaves when it is stopped; see docs/etcd-compatibility.md"
  )

export interface ClusterOptions {
  readonly access: Access["Service"]
  readonly kv: Kv["Service"]
  readonly membership: Membership["Service"]
  readonly status: NodeStatus["Service"]
}

export const clusterMethods = ({
  access,
  kv,
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
      change(codec.MemberRemoveRequest, ({ id }) =>
        exists(id) ? notHere("a member cannot be removed by hand") : errors.memberNotFound
      )
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
