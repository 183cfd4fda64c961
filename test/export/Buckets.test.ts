import { assert, describe, it } from "@effect/vitest"
import { EtcdBuckets } from "../../src/core/bbolt/etcdBuckets.ts"
import type { AuthChange } from "../../src/core/log/opAuth.ts"
import { encodeOp, type Op } from "../../src/core/log/op.ts"
import type { Member } from "../../src/core/wire/codec/cluster.ts"

const member: Member = {
  id: 0xf00dfacecafebeefn,
  name: "n1",
  peerUrls: ["http://a:2380"],
  clientUrls: ["http://a:2379"],
  isLearner: false
}

/** Every item as `bucket: key = value`, text where it is text, hex where it is not. */
const listed = (ops: ReadonlyArray<Op>, members: ReadonlyArray<Member> = []): ReadonlyArray<string> => {
  const found: Array<string> = []
  let bucket = ""
  const shown = (bytes: Uint8Array): string => {
    const text = Buffer.from(bytes).toString("latin1")
    return /^[ -~]+$/.test(text) ? text : Buffer.from(bytes).toString("hex")
  }
  const sink = {
    bucket: (name: string) => void (bucket = name),
    put: (key: Uint8Array, value: Uint8Array) => void found.push(`${bucket}: ${shown(key)} = ${shown(value)}`)
  }
  const buckets = new EtcdBuckets({ index: 300, term: 2, revision: 9, floor: 0, ops: ops.map(encodeOp) }, members)
  buckets.writeBeforeKeys(sink)
  buckets.writeBehindKeys(sink)
  return found
}

const auth = (change: AuthChange): Op => ({ kind: "auth", auth: { authRevision: 12, change } })
const bytes = (text: string): Uint8Array => Buffer.from(text)

describe("The buckets beside the keys", () => {
  it("say where the state stands, and that authentication is off", () => {
    assert.deepStrictEqual(listed([]), [
      "auth: authEnabled = 00",
      "auth: authRevision = 0000000000000001",
      'meta: confState = {"voters":[],"auto_leave":false}',
      "meta: consistent_index = 000000000000012c",
      "meta: storageVersion = 3.6.0",
      "meta: term = 0000000000000002"
    ])
  })

  it("name the compaction twice, as etcd does when it has finished one", () => {
    const found = listed([{ kind: "compaction", revision: 7, physical: false }])
    assert.include(found, "meta: finishedCompactRev = 00000000000000075f0000000000000000")
    assert.include(found, "meta: scheduledCompactRev = 00000000000000075f0000000000000000")
  })

  it("hold leases by id, negative ones behind the others, with what remains of them", () => {
    const lease = (id: bigint, ttlSeconds: number, remainingTtlSeconds: number): Op => ({
      kind: "leaseGrant",
      id,
      ttlSeconds,
      remainingTtlSeconds
    })
    assert.deepStrictEqual(
      listed([lease(-1n, 5, 0), lease(300n, 60, 7), lease(2n, 10, 0)]).filter((line) => line.startsWith("lease")),
      [
        "lease: 0000000000000002 = 0802100a",
        "lease: 000000000000012c = 08ac02103c1807",
        "lease: ffffffffffffffff = 08ffffffffffffffffff011005"
      ]
    )
  })

  it("hold active alarms as keys without values", () => {
    const alarm = (memberId: bigint, type: number): Op => ({ kind: "alarm", memberId, type, action: 1 })
    assert.deepStrictEqual(
      listed([alarm(9n, 2), alarm(1n, 1)]).filter((line) => line.startsWith("alarm")),
      ["alarm: 08011001 = ", "alarm: 08091002 = "]
    )
  })

  it("hold users, roles and whether authentication is on, roles and permissions sorted as etcd looks them up", () => {
    const found = listed([
      auth({
        kind: "role",
        name: "r",
        permissions: [
          { type: 2, key: bytes("b"), rangeEnd: bytes("c") },
          { type: 0, key: bytes("a"), rangeEnd: bytes("") }
        ]
      }),
      auth({ kind: "user", name: "u", passwordHash: bytes("$2a"), noPassword: false, roles: ["z", "r"] }),
      auth({ kind: "user", name: "cn", passwordHash: bytes(""), noPassword: true, roles: [] }),
      auth({ kind: "state", enabled: true })
    ]).filter((line) => line.startsWith("auth"))
    assert.deepStrictEqual(found, [
      "auth: authEnabled = 01",
      "auth: authRevision = 000000000000000c",
      "authRoles: r = 0a01721203120161120808021201621a0163",
      "authUsers: cn = 0a02636e22020801",
      "authUsers: u = 0a01751203243261" + "1a01721a017a" + "2200"
    ])
  })

  it("hold members as JSON with ids of 64 bits, and who votes", () => {
    const learner = { ...member, id: 5n, name: "", clientUrls: [], isLearner: true }
    const found = listed([], [learner, member]).filter((line) => /^(members|meta: confState)/.test(line))
    assert.deepStrictEqual(found, [
      'members: 5 = {"id":5,"peerURLs":["http://a:2380"],"isLearner":true}',
      'members: f00dfacecafebeef = {"id":17297757509875842799,"peerURLs":["http://a:2380"],"name":"n1","clientURLs":["http://a:2379"]}',
      'meta: confState = {"voters":[17297757509875842799],"learners":[5],"auto_leave":false}'
    ])
  })

  it("refuse operations that are no state", () => {
    assert.throws(() => listed([{ kind: "leaseRevoke", id: 1n }]), "leaseRevoke")
    assert.throws(() => listed([auth({ kind: "enable" })]), "enable")
  })
})
