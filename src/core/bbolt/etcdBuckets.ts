/**
 * The buckets of etcd's database beside `key`, made from the committed state. What differs from etcd on purpose:
 * `storageVersion` is the oldest one that knows the field, and the cluster's version is left out, so that every etcd
 * takes the file; it writes its own.
 */
import { assert } from "../assert.ts"
import type { AuthChange, AuthOp } from "../log/opAuth.ts"
import { AlarmAction, decodeOp, type Op } from "../log/op.ts"
import { writeRevision } from "../mvcc/backendRow.ts"
import { compareBytes } from "../mvcc/keys.ts"
import { Role, User } from "../wire/codec/auth.ts"
import { AlarmMember } from "../wire/codec/maintenance.ts"
import type { Member } from "../wire/codec/cluster.ts"
import { encodeMessage } from "../wire/codec/common.ts"
import type { Writer } from "../wire/protobuf.ts"
import type { SnapshotSource } from "../../services/Snapshotter.ts"
import type { BucketSink } from "./DatabaseWriter.ts"

interface Entry {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

type Buckets = ReadonlyMap<string, Array<Entry>>

/** What every etcd since 3.6 has; the format has not changed since, and older ones do not look. */
const storageVersion = "3.6.0"

const encoder = new TextEncoder()
const text = (value: string): Uint8Array => encoder.encode(value)

const uint64 = (value: bigint | number): Uint8Array => {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, BigInt(value)))
  return bytes
}

const revisionKey = (revision: number): Uint8Array =>
  encodeMessage(revision, (writer, main) => writeRevision(writer, main, 0))

const nameless = new Uint8Array(0)

/** Names in the order in which a database holds them. */
const namesBeforeKeys = ["alarm", "auth", "authRoles", "authUsers", "cluster"] as const
const namesBehindKeys = ["lease", "members", "members_removed", "meta"] as const
type Name = (typeof namesBeforeKeys)[number] | (typeof namesBehindKeys)[number]

export class EtcdBuckets {
  readonly #buckets: Buckets = new Map([...namesBeforeKeys, ...namesBehindKeys].map((name) => [name, []]))

  constructor(source: SnapshotSource, members: ReadonlyArray<Member>) {
    let auth: AuthOp = { authRevision: 1, change: { kind: "state", enabled: false } }
    for (const bytes of source.ops) {
      const op = decodeOp(bytes)
      if (op.kind === "auth") {
        this.#auth(op.auth.change)
        if (op.auth.change.kind === "state") auth = op.auth
      } else this.#operation(op)
    }
    const { change, authRevision } = auth
    this.#add("auth", text("authEnabled"), Uint8Array.of(change.kind === "state" && change.enabled ? 1 : 0))
    this.#add("auth", text("authRevision"), uint64(authRevision))
    for (const member of members) this.#add("members", text(member.id.toString(16)), memberJson(member))
    this.#add("meta", text("confState"), confState(members))
    this.#add("meta", text("consistent_index"), uint64(source.index))
    this.#add("meta", text("term"), uint64(source.term))
    this.#add("meta", text("storageVersion"), text(storageVersion))
    for (const entries of this.#buckets.values()) entries.sort((a, b) => compareBytes(a.key, b.key))
  }

  writeBeforeKeys(sink: BucketSink): void {
    this.#write(namesBeforeKeys, sink)
  }

  writeBehindKeys(sink: BucketSink): void {
    this.#write(namesBehindKeys, sink)
  }

  #write(names: ReadonlyArray<Name>, sink: BucketSink): void {
    for (const name of names) {
      sink.bucket(name)
      for (const { key, value } of this.#buckets.get(name)!) sink.put(key, value)
    }
  }

  #add(bucket: Name, key: Uint8Array, value: Uint8Array): void {
    this.#buckets.get(bucket)!.push({ key, value })
  }

  #operation(op: Exclude<Op, { readonly kind: "auth" }>): void {
    switch (op.kind) {
      case "leaseGrant":
        this.#add("lease", uint64(op.id), encodeMessage(op, writeLease))
        break
      case "alarm":
        assert(op.action === AlarmAction.Activate, "a snapshot holds active alarms only")
        this.#add("alarm", AlarmMember.encode({ memberId: op.memberId, alarm: op.type }), nameless)
        break
      case "compaction":
        this.#add("meta", text("finishedCompactRev"), revisionKey(op.revision))
        this.#add("meta", text("scheduledCompactRev"), revisionKey(op.revision))
        break
      case "member":
        // Notes of this cluster's own; the members bucket is made from who is a member now.
        break
      case "noOp":
      case "leaseRevoke":
      case "leaseCheckpoint":
        assert(false, `a snapshot holds no operation ${op.kind}`)
    }
  }

  #auth(change: AuthChange): void {
    if (change.kind === "user") this.#add("authUsers", text(change.name), userValue(change))
    else if (change.kind === "role") this.#add("authRoles", text(change.name), roleValue(change))
    else assert(change.kind === "state", `a snapshot holds no change of authentication ${change.kind}`)
  }
}

const writeLease = (writer: Writer, lease: Extract<Op, { readonly kind: "leaseGrant" }>): void => {
  writer.bigintField(1, lease.id)
  writer.int64Field(2, lease.ttlSeconds)
  writer.int64Field(3, lease.remainingTtlSeconds)
}

// etcd bisects roles and permissions.

const byBytes = (a: string, b: string): number => compareBytes(text(a), text(b))

const userValue = ({ name, noPassword, passwordHash, roles }: Extract<AuthChange, { readonly kind: "user" }>) =>
  User.encode({ name: text(name), password: passwordHash, roles: roles.toSorted(byBytes), options: { noPassword } })

const roleValue = ({ name, permissions }: Extract<AuthChange, { readonly kind: "role" }>) =>
  Role.encode({
    name: text(name),
    keyPermission: permissions
      .map(({ key, rangeEnd, type }) => ({ permType: type, key, rangeEnd }))
      .sort((a, b) => compareBytes(a.key, b.key))
  })

// Numbers of 64 bits are more than JSON.stringify knows, so the ids are put in as text.

const memberJson = ({ clientUrls, id, isLearner, name, peerUrls }: Member): Uint8Array => {
  const rest = JSON.stringify({
    peerURLs: peerUrls,
    ...(isLearner ? { isLearner } : {}),
    ...(name === "" ? {} : { name }),
    ...(clientUrls.length === 0 ? {} : { clientURLs: clientUrls })
  })
  return text(`{"id":${id},${rest.slice(1)}`)
}

const confState = (members: ReadonlyArray<Member>): Uint8Array => {
  const ids = (learner: boolean): string =>
    members.flatMap(({ id, isLearner }) => (isLearner === learner ? [`${id}`] : [])).join(",")
  const learners = ids(true)
  return text(`{"voters":[${ids(false)}],${learners === "" ? "" : `"learners":[${learners}],`}"auto_leave":false}`)
}
