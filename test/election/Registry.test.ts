import { assert, describe, it } from "@effect/vitest"
import { decodeLock, encodeLock, mayTake } from "../../src/core/election/lock.ts"
import {
  decodeMembers,
  decodeRegistration,
  encodeMembers,
  encodeRegistration,
  fnv1a64,
  isOlderDisk,
  withMembers
} from "../../src/core/election/registry.ts"

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const bytes = (value: string): Uint8Array => new TextEncoder().encode(value)

describe("members.json", () => {
  it("is compact JSON with sorted node ids, as Netsy 1.x writes it", () => {
    const members = new Map([
      ["node-2", 2n],
      ["node-1", 1n]
    ])
    assert.strictEqual(
      text(encodeMembers({ clusterId: "my-cluster", members })),
      `{"cluster_id":"my-cluster","members":{"node-1":1,"node-2":2}}`
    )
  })

  it("gives a new node the highest id plus one and never an old one again", () => {
    const found = decodeMembers(bytes(`{"cluster_id":"c","members":{"a":1,"b":5}}`))
    assert.ok(typeof found !== "string")
    assert.deepStrictEqual(
      [...withMembers(found, ["c", "a", "d"]).members],
      [
        ["a", 1n],
        ["b", 5n],
        ["c", 6n],
        ["d", 7n]
      ]
    )
    assert.strictEqual(withMembers(found, ["a"]), found)
  })

  it("names what is wrong with damaged bytes", () => {
    assert.include(decodeMembers(bytes(`{"members":{"a":-1}}`)) as string, '"a"')
    assert.include(decodeMembers(bytes(`{}`)) as string, "members")
    assert.include(decodeMembers(bytes(`{`)) as string, "not JSON")
  })

  it("names the cluster by FNV-1a 64 of its id", () => {
    assert.strictEqual(fnv1a64("dev-cluster"), 3357563940647108315n)
  })
})

describe("a registration", () => {
  it("keeps Netsy's three fields first and reads a file that has only those", () => {
    const own = { nodeId: "n", clientAddress: "h:1", peerAddress: "h:2", incarnation: "ab", starts: 3, run: "f0" }
    assert.isTrue(
      text(encodeRegistration(own)).startsWith(
        `{"node_id":"n","client_advertise_address":"h:1","peer_advertise_address":"h:2"`
      )
    )
    assert.deepStrictEqual(decodeRegistration(encodeRegistration(own)), own)
    assert.deepStrictEqual(
      decodeRegistration(bytes(`{"node_id":"n","client_advertise_address":"h:1","peer_advertise_address":"h:2"}`)),
      { ...own, incarnation: "", starts: 0, run: "" }
    )
  })

  it("unmasks a disk that was put back to an older state by its start counter", () => {
    const registered = { nodeId: "n", clientAddress: "", peerAddress: "", incarnation: "ab", starts: 3, run: "" }
    assert.isFalse(isOlderDisk(registered, "ab", 4))
    assert.isTrue(isOlderDisk(registered, "ab", 3))
    assert.isFalse(isOlderDisk(registered, "cd", 1))
    assert.isFalse(isOlderDisk(undefined, "ab", 1))
  })
})

describe("the elector's lock", () => {
  it("has s3lect's form and keeps the ids when resigned", () => {
    assert.strictEqual(
      text(encodeLock({ leaderId: "node-1", leaderAddr: "h:8443" }, undefined)),
      `{"leaderID":"node-1","leaderAddr":"h:8443","lastUpdated":"0001-01-01T00:00:00Z"}`
    )
    assert.deepStrictEqual(
      decodeLock(bytes(`{"leaderID":"n","leaderAddr":"a","lastUpdated":"2026-05-28T07:21:29.123456789Z"}`)),
      { leaderId: "n", leaderAddr: "a", lastUpdatedMillis: Date.parse("2026-05-28T07:21:29.123Z") }
    )
  })

  it("may be taken when it is ours, resigned, absent, or was not renewed for 15 s", () => {
    const lock = { leaderId: "other", leaderAddr: "a", lastUpdatedMillis: 5 }
    assert.isTrue(mayTake(undefined, "n", 0))
    assert.isTrue(mayTake({ ...lock, leaderId: "n" }, "n", 0))
    assert.isTrue(mayTake({ ...lock, lastUpdatedMillis: 0 }, "n", 0))
    assert.isFalse(mayTake(lock, "n", 14_999))
    assert.isTrue(mayTake(lock, "n", 15_000))
  })
})
