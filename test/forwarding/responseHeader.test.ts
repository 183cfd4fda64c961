/** The member id in answers that another node has made. */
import { assert, describe, it } from "@effect/vitest"
import { AuthenticateResponse } from "../../src/core/wire/codec/auth.ts"
import { HealthCheckResponse } from "../../src/core/wire/codec/health.ts"
import { LeaseGrantResponse } from "../../src/core/wire/codec/lease.ts"
import { decodePutResponse, encodePutResponse } from "../../src/core/wire/codec/kv.ts"
import { MalformedMessage } from "../../src/core/wire/protobuf.ts"
import { withMemberId } from "../../src/core/wire/responseHeader.ts"
import { type Random, random } from "../wire/random.ts"

/** Of any length on the wire. */
const uint64 = (source: Random): bigint =>
  BigInt.asUintN(source.int(65), (BigInt(source.int(2 ** 32)) << 32n) | BigInt(source.int(2 ** 32)))

describe("withMemberId", () => {
  it("changes the member id and nothing else, whatever the numbers", () => {
    const source = random(1)
    for (let i = 0; i < 2_000; i++) {
      const header = {
        clusterId: uint64(source),
        memberId: uint64(source),
        revision: source.int(2 ** source.int(50)),
        raftTerm: source.int(2 ** source.int(30))
      }
      const own = uint64(source)
      const token = "t".repeat(source.int(300))
      const bytes = withMemberId(AuthenticateResponse.encode({ header, token }), own)
      assert.deepStrictEqual(AuthenticateResponse.decode(bytes), { header: { ...header, memberId: own }, token })
    }
  })

  it("finds the header behind other fields", () => {
    const found = { clusterId: 1n, memberId: 2n, revision: 3, raftTerm: 4 }
    const whole = LeaseGrantResponse.encode({ header: found, id: 5n, ttl: 6, error: "e" })
    const headerBytes = LeaseGrantResponse.encode({ header: found, id: 0n, ttl: 0, error: "" })
    const rest = whole.subarray(headerBytes.length)
    const turned = withMemberId(Uint8Array.of(...rest, ...headerBytes), 7n)
    assert.deepStrictEqual(LeaseGrantResponse.decode(turned), {
      header: { ...found, memberId: 7n },
      id: 5n,
      ttl: 6,
      error: "e"
    })
  })

  it("leaves the previous value of a put as it is", () => {
    const prevKv = {
      key: Uint8Array.of(1),
      createRevision: 2,
      modRevision: 3,
      version: 1,
      value: Uint8Array.of(10, 2, 16, 1),
      lease: 0n
    }
    const found = { clusterId: 1n, memberId: 2n, revision: 3, raftTerm: 4 }
    const turned = withMemberId(encodePutResponse({ header: found, prevKv }), 9n)
    assert.deepStrictEqual(decodePutResponse(turned), { header: { ...found, memberId: 9n }, prevKv })
  })

  it("gives an answer without a header back", () => {
    const bytes = HealthCheckResponse.encode({ status: 1 })
    assert.strictEqual(withMemberId(bytes, 7n), bytes)
    assert.strictEqual(withMemberId(new Uint8Array(0), 7n).length, 0)
  })

  it("refuses what is no message", () => {
    assert.throws(() => withMemberId(Uint8Array.of(10, 5, 8), 7n), MalformedMessage)
  })
})
