/** v3lock and v3election by gRPC, as their users call them. */
import type { ClientReadableStream } from "@grpc/grpc-js"
import * as election from "../../src/core/wire/codec/election.ts"
import { decodeRangeResponse, encodePutRequest, encodeRangeRequest } from "../../src/core/wire/codec/kv.ts"
import * as lease from "../../src/core/wire/codec/lease.ts"
import * as lock from "../../src/core/wire/codec/lock.ts"
import type { Message } from "../../src/core/wire/codec/message.ts"
import type { RawClient } from "../support/grpc.ts"
import { rangeOf } from "../support/requests.ts"

/** Its answer, or its code and text as `"2 election: no leader"`. */
export type Outcome<A> = A | string

const unary =
  <Request, Response>(path: string, request: Message<Request>, response: Message<Response>) =>
  async (client: RawClient, message: Request, deadlineMillis?: number): Promise<Outcome<Response>> => {
    const { body, code, details } = await client.unary(path, request.encode(message), deadlineMillis)
    return code === 0 ? response.decode(body) : `${code} ${details}`
  }

const grantLease = unary("/etcdserverpb.Lease/LeaseGrant", lease.LeaseGrantRequest, lease.LeaseGrantResponse)
export const revokeLease = unary("/etcdserverpb.Lease/LeaseRevoke", lease.LeaseRevokeRequest, lease.LeaseRevokeResponse)
export const leaseTime = unary(
  "/etcdserverpb.Lease/LeaseTimeToLive",
  lease.LeaseTimeToLiveRequest,
  lease.LeaseTimeToLiveResponse
)
export const listLeases = unary("/etcdserverpb.Lease/LeaseLeases", lease.LeaseLeasesRequest, lease.LeaseLeasesResponse)
export const acquire = unary("/v3lockpb.Lock/Lock", lock.LockRequest, lock.LockResponse)
export const release = unary("/v3lockpb.Lock/Unlock", lock.UnlockRequest, lock.UnlockResponse)
const elections = "/v3electionpb.Election"
export const campaign = unary(`${elections}/Campaign`, election.CampaignRequest, election.CampaignResponse)
export const proclaim = unary(`${elections}/Proclaim`, election.ProclaimRequest, election.ProclaimResponse)
export const leader = unary(`${elections}/Leader`, election.LeaderRequest, election.LeaderResponse)
export const resign = unary(`${elections}/Resign`, election.ResignRequest, election.ResignResponse)

export const bytes = (text: string): Uint8Array => Buffer.from(text)
export const text = (of: Uint8Array | undefined): string => Buffer.from(of ?? []).toString()

/** The answer; an error is the test's failure. */
export const got = <A>(outcome: Outcome<A>): A => {
  if (typeof outcome === "string") throw new Error(outcome)
  return outcome
}

export const newLease = async (client: RawClient, ttl = 60): Promise<bigint> =>
  got(await grantLease(client, { ttl, id: 0n })).id

/** Keys under the prefix, with the lease of each. */
export const keysUnder = async (client: RawClient, prefix: string): Promise<ReadonlyArray<string>> => {
  const { body } = await client.unary(
    "/etcdserverpb.KV/Range",
    encodeRangeRequest(
      rangeOf(bytes(prefix), {
        rangeEnd: bytes(`${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`),
        sortOrder: 1,
        sortTarget: 2
      })
    )
  )
  return decodeRangeResponse(body).kvs.map(({ key }) => text(key))
}

export const putKey = (client: RawClient, key: string, value: string) =>
  client.unary(
    "/etcdserverpb.KV/Put",
    encodePutRequest({
      key: bytes(key),
      value: bytes(value),
      lease: 0n,
      prevKv: false,
      ignoreValue: false,
      ignoreLease: false
    })
  )

export interface Observed {
  /** `value@revision of the key`. */
  readonly leaders: Array<string>
  readonly call: ClientReadableStream<Buffer>
}

export const observe = (client: RawClient, name: string): Observed => {
  const call = client.serverStream(`${elections}/Observe`, election.LeaderRequest.encode({ name: bytes(name) }))
  const leaders: Array<string> = []
  call.on("data", (message: Buffer) => leaders.push(text(election.LeaderResponse.decode(message).kv?.value)))
  return { leaders, call }
}
