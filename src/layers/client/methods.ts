/** The rpcs that the client is made of. */
import { AuthenticateRequest, AuthenticateResponse } from "../../core/wire/codec/auth.ts"
import { decodeHeaderResponse } from "../../core/wire/codec/common.ts"
import {
  CampaignRequest,
  CampaignResponse,
  LeaderRequest,
  LeaderResponse,
  ProclaimRequest,
  ProclaimResponse
} from "../../core/wire/codec/election.ts"
import * as kv from "../../core/wire/codec/kv.ts"
import * as lease from "../../core/wire/codec/lease.ts"
import { LockRequest, LockResponse } from "../../core/wire/codec/lock.ts"
import { StatusRequest, StatusResponse } from "../../core/wire/codec/maintenance.ts"
import type { Message } from "../../core/wire/codec/message.ts"
import { decodeTxnResponse, encodeTxnRequest } from "../../core/wire/codec/txn.ts"
import { decodeWatchResponse, encodeWatchRequest } from "../../core/wire/codec/watch.ts"
import type { Unary } from "./Calls.ts"

const rpc = <Request, Response>(
  method: string,
  request: Pick<Message<Request>, "encode">,
  response: Pick<Message<Response>, "decode">
): Unary<Request, Response> => ({ method, encode: request.encode, decode: response.decode })

const of = <Request, Response>(
  method: string,
  encode: (request: Request) => Uint8Array,
  decode: (bytes: Uint8Array) => Response
): Unary<Request, Response> => ({ method, encode, decode })

export const range = of("/etcdserverpb.KV/Range", kv.encodeRangeRequest, kv.decodeRangeResponse)
export const put = of("/etcdserverpb.KV/Put", kv.encodePutRequest, kv.decodePutResponse)
export const deleteRange = of("/etcdserverpb.KV/DeleteRange", kv.encodeDeleteRangeRequest, kv.decodeDeleteRangeResponse)
export const txn = of("/etcdserverpb.KV/Txn", encodeTxnRequest, decodeTxnResponse)
export const compact = of("/etcdserverpb.KV/Compact", kv.encodeCompactionRequest, decodeHeaderResponse)
export const watch = of("/etcdserverpb.Watch/Watch", encodeWatchRequest, decodeWatchResponse)

export const grant = rpc("/etcdserverpb.Lease/LeaseGrant", lease.LeaseGrantRequest, lease.LeaseGrantResponse)
export const revoke = rpc("/etcdserverpb.Lease/LeaseRevoke", lease.LeaseRevokeRequest, lease.LeaseRevokeResponse)
export const keepAlive = rpc(
  "/etcdserverpb.Lease/LeaseKeepAlive",
  lease.LeaseKeepAliveRequest,
  lease.LeaseKeepAliveResponse
)
export const timeToLive = rpc(
  "/etcdserverpb.Lease/LeaseTimeToLive",
  lease.LeaseTimeToLiveRequest,
  lease.LeaseTimeToLiveResponse
)
export const leases = rpc("/etcdserverpb.Lease/LeaseLeases", lease.LeaseLeasesRequest, lease.LeaseLeasesResponse)

export const lock = rpc("/v3lockpb.Lock/Lock", LockRequest, LockResponse)
export const campaign = rpc("/v3electionpb.Election/Campaign", CampaignRequest, CampaignResponse)
export const proclaim = rpc("/v3electionpb.Election/Proclaim", ProclaimRequest, ProclaimResponse)
export const leader = rpc("/v3electionpb.Election/Leader", LeaderRequest, LeaderResponse)
export const observe = rpc("/v3electionpb.Election/Observe", LeaderRequest, LeaderResponse)

export const status = rpc("/etcdserverpb.Maintenance/Status", StatusRequest, StatusResponse)
export const authenticate = rpc("/etcdserverpb.Auth/Authenticate", AuthenticateRequest, AuthenticateResponse)
