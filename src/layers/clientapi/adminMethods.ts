/** MemberList, Status, Alarm and the health check: small answers about this node and its cluster. */
import { MemberListRequest, MemberListResponse } from "../../core/wire/codec/cluster.ts"
import { HealthCheckRequest, HealthCheckResponse } from "../../core/wire/codec/health.ts"
import { AlarmRequest, AlarmResponse, StatusRequest, StatusResponse } from "../../core/wire/codec/maintenance.ts"
import { Code, type EtcdError, errors, etcdError } from "../../core/wire/errors.ts"
import { AlarmAction, ServingStatus } from "../../core/wire/messages.ts"
import type { Kv } from "../../services/Kv.ts"
import type { Membership } from "../../services/Membership.ts"
import type { NodeStatus } from "../../services/NodeStatus.ts"
import { decoded } from "./decode.ts"
import type { UnaryMethod } from "./kvMethods.ts"

/** The etcd version whose behaviour is ours, as a bare semantic version: clients parse it. */
export const etcdVersion = "3.7.1"
const storageVersion = "3.7.0"

/** Bytes of the database file(s), and bytes in use; calls back once. */
export type Size = (
  use: (size: { readonly total: number; readonly inUse: number }) => void,
  fail: (error: EtcdError) => void
) => void

export interface AdminOptions {
  readonly kv: Kv["Service"]
  readonly status: NodeStatus["Service"]
  readonly membership: Membership["Service"]
  readonly size: Size
  readonly quotaBytes: number
}

export const hasLeader = (status: NodeStatus["Service"]): boolean => status.leaderMemberId() !== 0n

/** What `errors` of Status lists: etcd's text without a leader, then what Netsy knows about itself. */
const statusErrors = (status: NodeStatus["Service"]): ReadonlyArray<string> => {
  const list = hasLeader(status) ? [] : [errors.noLeader.message]
  const health = status.health()
  if (health !== "healthy") list.push(`health state: ${health}`)
  return [...list, ...status.troubles()]
}

export const adminMethods = ({ kv, membership, quotaBytes, size, status }: AdminOptions) => {
  const memberList: UnaryMethod = (request, reply) =>
    decoded(
      "MemberListRequest",
      request,
      MemberListRequest.decode,
      ({ linearizable }) => {
        const answer = (): void =>
          reply.succeed(MemberListResponse.encode({ header: status.header(0), members: membership.members() }))
        if (linearizable) kv.barrier({ succeed: answer, fail: reply.fail })
        else answer()
      },
      reply.fail
    )

  const nodeStatus: UnaryMethod = (request, reply) =>
    decoded(
      "StatusRequest",
      request,
      StatusRequest.decode,
      () =>
        size(
          ({ inUse, total }) =>
            reply.succeed(
              StatusResponse.encode({
                header: status.header(kv.revision()),
                version: etcdVersion,
                dbSize: total,
                leader: status.leaderMemberId(),
                raftIndex: kv.head(),
                raftTerm: status.term(),
                raftAppliedIndex: kv.commitIndex(),
                errors: statusErrors(status),
                dbSizeInUse: inUse,
                isLearner: false,
                storageVersion,
                dbSizeQuota: quotaBytes,
                downgradeInfo: { enabled: false, targetVersion: "" }
              })
            ),
          reply.fail
        ),
      reply.fail
    )

  const alarm: UnaryMethod = (request, reply) =>
    decoded(
      "AlarmRequest",
      request,
      AlarmRequest.decode,
      ({ action }) =>
        action === AlarmAction.Get
          ? reply.succeed(AlarmResponse.encode({ header: status.header(kv.revision()), alarms: [] }))
          : reply.fail(
              etcdError(Code.Unimplemented, "netsy: /etcdserverpb.Maintenance/Alarm is implemented for action GET only")
            ),
      reply.fail
    )

  const healthCheck: UnaryMethod = (request, reply) =>
    decoded(
      "HealthCheckRequest",
      request,
      HealthCheckRequest.decode,
      ({ service }) =>
        service === ""
          ? reply.succeed(HealthCheckResponse.encode({ status: ServingStatus.Serving }))
          : reply.fail(etcdError(Code.NotFound, `unknown service ${JSON.stringify(service)}`)),
      reply.fail
    )

  return new Map([
    ["/etcdserverpb.Cluster/MemberList", memberList],
    ["/etcdserverpb.Maintenance/Status", nodeStatus],
    ["/etcdserverpb.Maintenance/Alarm", alarm],
    ["/grpc.health.v1.Health/Check", healthCheck]
  ])
}
