/** `etcdserverpb.Maintenance` without its data: Status, Alarm, Defragment, MoveLeader and Downgrade. */
import type { Alarms as AlarmList } from "../../core/alarm/alarms.ts"
import * as codec from "../../core/wire/codec/maintenance.ts"
import { type EtcdError, errors } from "../../core/wire/errors.ts"
import { AlarmAction, AlarmType, DowngradeAction } from "../../core/wire/messages.ts"
import { etcdStorageVersion, etcdVersion } from "../../core/version.ts"
import type { Access } from "../../services/Access.ts"
import type { Alarms } from "../../services/Alarms.ts"
import type { Kv, Reply } from "../../services/Kv.ts"
import type { NodeStatus } from "../../services/NodeStatus.ts"
import type { Replicator } from "../../services/Replicator.ts"
import type { Members } from "./members.ts"
import { type UnaryMethod, unaryMethod } from "./method.ts"

/** What the local disk says and does; each calls back once. */
export interface Disk {
  /** Bytes of the database file(s), and bytes in use. */
  readonly size: (reply: Reply<{ readonly total: number; readonly inUse: number }>) => void
  /** Gives free space back to the file system. */
  readonly defragment: (reply: Reply<void>) => void
}

export interface MaintenanceOptions {
  readonly access: Access["Service"]
  readonly kv: Kv["Service"]
  readonly alarms: Alarms["Service"]
  readonly status: NodeStatus["Service"]
  readonly members: Pick<Members, "nodeOf">
  readonly handOver: Replicator["Service"]["handOver"]
  readonly disk: Disk
  readonly quotaBytes: number
}

export const hasLeader = (status: NodeStatus["Service"]): boolean => status.leaderMemberId() !== 0n

const alarmNames: Readonly<Record<number, string>> = { [AlarmType.NoSpace]: "NOSPACE", [AlarmType.Corrupt]: "CORRUPT" }

/** What `errors` of Status lists: etcd's texts, then what Netsy knows about itself. */
const statusErrors = (status: NodeStatus["Service"], alarms: AlarmList): ReadonlyArray<string> => {
  const list = hasLeader(status) ? [] : [errors.noLeader.message]
  for (const { alarm, memberId } of alarms) list.push(`memberID:${memberId} alarm:${alarmNames[alarm] ?? alarm}`)
  const health = status.health()
  if (health !== "healthy") list.push(`health state: ${health}`)
  return [...list, ...status.troubles()]
}

/** etcd takes back one minor version at a time; here there is none to go back to. */
const downgradeRefusal = ({ action, version }: codec.DowngradeRequest): EtcdError => {
  if (action === DowngradeAction.Cancel) return errors.noInflightDowngrade
  return /^\d+\.\d+(\.\d+)?$/.test(version) ? errors.invalidDowngradeVersion : errors.wrongDowngradeVersion
}

export const maintenanceMethods = (options: MaintenanceOptions): ReadonlyMap<string, UnaryMethod> => {
  const { access, alarms, disk, handOver, kv, members, quotaBytes, status } = options

  const nodeStatus = unaryMethod(access, {
    request: codec.StatusRequest,
    encode: codec.StatusResponse.encode,
    allow: (a, caller) => a.user(caller),
    call: (_request, reply) =>
      disk.size({
        succeed: ({ inUse, total }) =>
          reply.succeed({
            header: status.header(kv.revision()),
            version: etcdVersion,
            dbSize: total,
            leader: status.leaderMemberId(),
            raftIndex: kv.head(),
            raftTerm: status.term(),
            raftAppliedIndex: kv.commitIndex(),
            errors: statusErrors(status, alarms.active()),
            dbSizeInUse: inUse,
            isLearner: false,
            storageVersion: etcdStorageVersion,
            dbSizeQuota: quotaBytes,
            downgradeInfo: { enabled: false, targetVersion: "" }
          }),
        fail: reply.fail
      })
  })

  const alarm = unaryMethod(access, {
    request: codec.AlarmRequest,
    encode: codec.AlarmResponse.encode,
    allow: (a, caller, { action }) => (action === AlarmAction.Get ? a.user(caller) : a.root(caller)),
    call: ({ action, alarm: type, memberId }, { fail, succeed }) => {
      const answer: Reply<AlarmList> = {
        succeed: (list) => succeed({ header: status.header(kv.revision()), alarms: list }),
        fail
      }
      if (action === AlarmAction.Get) alarms.list(type, answer)
      else if (action === AlarmAction.Activate) alarms.activate({ memberId, alarm: type }, answer)
      else if (action === AlarmAction.Deactivate) alarms.deactivate({ memberId, alarm: type }, answer)
      // An action that nobody knows does nothing, as in etcd.
      else answer.succeed([])
    }
  })

  const defragment = unaryMethod(access, {
    request: codec.DefragmentRequest,
    encode: codec.DefragmentResponse.encode,
    allow: (a, caller) => a.root(caller),
    // Rule H7: no header.
    call: (_request, { fail, succeed }) => disk.defragment({ succeed: () => succeed({ header: undefined }), fail })
  })

  const moveLeader = unaryMethod(access, {
    request: codec.MoveLeaderRequest,
    encode: codec.MoveLeaderResponse.encode,
    allow: (a, caller) => a.root(caller),
    call: ({ targetId }, reply) => {
      if (status.memberId() !== status.leaderMemberId()) return reply.fail(errors.notLeader)
      // To itself: it is the leader already.
      if (targetId === status.memberId()) return reply.succeed({ header: undefined })
      const target = members.nodeOf(targetId)
      if (target === undefined) return reply.fail(errors.badLeaderTransferee)
      handOver(target.name.nodeId, { done: () => reply.succeed({ header: undefined }), failed: reply.fail })
    }
  })

  const downgrade = unaryMethod(access, {
    request: codec.DowngradeRequest,
    encode: codec.DowngradeResponse.encode,
    allow: (a, caller) => a.root(caller),
    call: (request, reply) => reply.fail(downgradeRefusal(request))
  })

  return new Map([
    ["/etcdserverpb.Maintenance/Status", nodeStatus],
    ["/etcdserverpb.Maintenance/Alarm", alarm],
    ["/etcdserverpb.Maintenance/Defragment", defragment],
    ["/etcdserverpb.Maintenance/MoveLeader", moveLeader],
    ["/etcdserverpb.Maintenance/Downgrade", downgrade]
  ])
}
