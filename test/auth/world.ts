/** A whole node over memory stores with the API of etcd on top, called as a client would, without a socket. */
import { Context, Effect, Layer } from "effect"
import {
  AuthDisableRequest,
  AuthDisableResponse,
  AuthEnableRequest,
  AuthEnableResponse,
  AuthenticateRequest,
  AuthenticateResponse,
  AuthRoleAddRequest,
  AuthRoleAddResponse,
  AuthRoleDeleteRequest,
  AuthRoleDeleteResponse,
  AuthRoleGetRequest,
  AuthRoleGetResponse,
  AuthRoleGrantPermissionRequest,
  AuthRoleGrantPermissionResponse,
  AuthRoleListRequest,
  AuthRoleListResponse,
  AuthRoleRevokePermissionRequest,
  AuthRoleRevokePermissionResponse,
  AuthStatusRequest,
  AuthStatusResponse,
  AuthUserAddRequest,
  AuthUserAddResponse,
  AuthUserChangePasswordRequest,
  AuthUserChangePasswordResponse,
  AuthUserDeleteRequest,
  AuthUserDeleteResponse,
  AuthUserGetRequest,
  AuthUserGetResponse,
  AuthUserGrantRoleRequest,
  AuthUserGrantRoleResponse,
  AuthUserListRequest,
  AuthUserListResponse,
  AuthUserRevokeRoleRequest,
  AuthUserRevokeRoleResponse
} from "../../src/core/wire/codec/auth.ts"
import { decodeHeaderResponse } from "../../src/core/wire/codec/common.ts"
import {
  decodeDeleteRangeResponse,
  decodePutResponse,
  decodeRangeResponse,
  encodeCompactionRequest,
  encodeDeleteRangeRequest,
  encodePutRequest,
  encodeRangeRequest
} from "../../src/core/wire/codec/kv.ts"
import {
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseLeasesRequest,
  LeaseLeasesResponse,
  LeaseRevokeRequest,
  LeaseRevokeResponse,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse
} from "../../src/core/wire/codec/lease.ts"
import type { Message } from "../../src/core/wire/codec/message.ts"
import type { EtcdError } from "../../src/core/wire/errors.ts"
import * as ClientApiEtcd from "../../src/layers/ClientApiEtcd.ts"
import { type CallContext, ClientApi } from "../../src/services/ClientApi.ts"
import { rangeOf } from "../clientapi/fakes.ts"
import { makeWorld, startNode, type World } from "../node/world.ts"

export { makeWorld }

/** Who calls: a token, the common name of a certificate, or nobody. */
export interface Who {
  readonly token?: string
  readonly authorization?: string
  readonly commonName?: string
}

export const contextOf = (who: Who): CallContext => ({
  identity: undefined,
  commonName: who.commonName,
  metadata: (name) => (name === "token" ? who.token : name === "authorization" ? who.authorization : undefined)
})

export const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1")

export type Api = ClientApi["Service"]

const rpc =
  (api: Api, who: Who) =>
  <Request, Response>(
    path: string,
    encode: (request: Request) => Uint8Array,
    decode: (bytes: Uint8Array) => Response,
    request: Request
  ): Effect.Effect<Response, EtcdError> =>
    Effect.callback<Response, EtcdError>((resume) =>
      api.unary(path, encode(request), contextOf(who), {
        succeed: (response) => resume(Effect.succeed(decode(response))),
        fail: (error) => resume(Effect.fail(error))
      })
    )

/** The calls of one client. */
export const client = (api: Api, who: Who = {}) => {
  const call = rpc(api, who)
  const auth =
    <Request, Response>(name: string, request: Message<Request>, response: Message<Response>) =>
    (value: Request): Effect.Effect<Response, EtcdError> =>
      call(`/etcdserverpb.Auth/${name}`, request.encode, response.decode, value)
  const userAdd = auth("UserAdd", AuthUserAddRequest, AuthUserAddResponse)
  const grant = auth("RoleGrantPermission", AuthRoleGrantPermissionRequest, AuthRoleGrantPermissionResponse)
  return {
    call,
    enable: auth("AuthEnable", AuthEnableRequest, AuthEnableResponse)({}),
    disable: auth("AuthDisable", AuthDisableRequest, AuthDisableResponse)({}),
    status: auth("AuthStatus", AuthStatusRequest, AuthStatusResponse)({}),
    logIn: (name: string, password: string) =>
      Effect.map(
        auth("Authenticate", AuthenticateRequest, AuthenticateResponse)({ name, password }),
        ({ token }) => token
      ),
    authenticate: auth("Authenticate", AuthenticateRequest, AuthenticateResponse),
    userAdd: (name: string, password: string, noPassword?: boolean) =>
      userAdd({ name, password, hashedPassword: "", options: noPassword === undefined ? undefined : { noPassword } }),
    userAddWith: userAdd,
    userGet: (name: string) => auth("UserGet", AuthUserGetRequest, AuthUserGetResponse)({ name }),
    userList: auth("UserList", AuthUserListRequest, AuthUserListResponse)({}),
    userDelete: (name: string) => auth("UserDelete", AuthUserDeleteRequest, AuthUserDeleteResponse)({ name }),
    changePassword: (name: string, password: string, hashedPassword = "") =>
      auth(
        "UserChangePassword",
        AuthUserChangePasswordRequest,
        AuthUserChangePasswordResponse
      )({
        name,
        password,
        hashedPassword
      }),
    grantRole: (user: string, role: string) =>
      auth("UserGrantRole", AuthUserGrantRoleRequest, AuthUserGrantRoleResponse)({ user, role }),
    revokeRole: (name: string, role: string) =>
      auth("UserRevokeRole", AuthUserRevokeRoleRequest, AuthUserRevokeRoleResponse)({ name, role }),
    roleAdd: (name: string) => auth("RoleAdd", AuthRoleAddRequest, AuthRoleAddResponse)({ name }),
    roleGet: (role: string) => auth("RoleGet", AuthRoleGetRequest, AuthRoleGetResponse)({ role }),
    roleList: auth("RoleList", AuthRoleListRequest, AuthRoleListResponse)({}),
    roleDelete: (role: string) => auth("RoleDelete", AuthRoleDeleteRequest, AuthRoleDeleteResponse)({ role }),
    grantWith: grant,
    grant: (name: string, permType: number, key: string, end = "") =>
      grant({ name, perm: { permType, key: bytes(key), rangeEnd: bytes(end) } }),
    revoke: (role: string, key: string, end = "") =>
      auth(
        "RoleRevokePermission",
        AuthRoleRevokePermissionRequest,
        AuthRoleRevokePermissionResponse
      )({
        role,
        key: bytes(key),
        rangeEnd: bytes(end)
      }),
    leaseGrant: (id: bigint) =>
      call("/etcdserverpb.Lease/LeaseGrant", LeaseGrantRequest.encode, LeaseGrantResponse.decode, { id, ttl: 60 }),
    leaseRevoke: (id: bigint) =>
      call("/etcdserverpb.Lease/LeaseRevoke", LeaseRevokeRequest.encode, LeaseRevokeResponse.decode, { id }),
    leaseTimeToLive: (id: bigint) =>
      call("/etcdserverpb.Lease/LeaseTimeToLive", LeaseTimeToLiveRequest.encode, LeaseTimeToLiveResponse.decode, {
        id,
        keys: true
      }),
    leases: call("/etcdserverpb.Lease/LeaseLeases", LeaseLeasesRequest.encode, LeaseLeasesResponse.decode, {}),
    put: (key: string, value = "v", lease = 0n) =>
      call("/etcdserverpb.KV/Put", encodePutRequest, decodePutResponse, {
        key: bytes(key),
        value: bytes(value),
        lease,
        prevKv: false,
        ignoreValue: false,
        ignoreLease: false
      }),
    range: (key: string, end = "") =>
      call("/etcdserverpb.KV/Range", encodeRangeRequest, decodeRangeResponse, {
        ...rangeOf(key),
        key: bytes(key),
        rangeEnd: bytes(end)
      }),
    deleteRange: (key: string, end = "") =>
      call("/etcdserverpb.KV/DeleteRange", encodeDeleteRangeRequest, decodeDeleteRangeResponse, {
        key: bytes(key),
        rangeEnd: bytes(end),
        prevKv: false
      }),
    compact: (revision: number) =>
      call("/etcdserverpb.KV/Compact", encodeCompactionRequest, decodeHeaderResponse, { revision, physical: false })
  }
}

type Needed = Layer.Services<typeof ClientApiEtcd.layer>

/** A node with its API; `world` outlives it. Cheap passwords unless the world says otherwise. */
export const startApi = (world: World) =>
  Effect.gen(function* () {
    const node = yield* startNode(world)
    const services = yield* node.use(Effect.context<Needed>())
    const built = yield* Layer.build(ClientApiEtcd.layer).pipe(Effect.provide(services))
    return { node, api: Context.get(built, ClientApi) }
  })

export const makeAuthWorld = (env: Readonly<Record<string, string>> = {}): World =>
  makeWorld({ NETSY_AUTH_BCRYPT_COST: "4", ...env })

/** User root with role root, authentication on; a client that has logged in as root. */
export const withRoot = (api: Api) =>
  Effect.gen(function* () {
    const nobody = client(api)
    yield* nobody.userAdd("root", "pw")
    yield* nobody.roleAdd("root")
    yield* nobody.grantRole("root", "root")
    yield* nobody.enable
    return client(api, { token: yield* nobody.logIn("root", "pw") })
  })

/** A user with one role, who has logged in. */
export const withUser = (
  api: Api,
  root: ReturnType<typeof client>,
  name: string,
  grants: ReadonlyArray<readonly [permType: number, key: string, end?: string]>
) =>
  Effect.gen(function* () {
    yield* root.userAdd(name, `pw of ${name}`)
    yield* root.roleAdd(`role of ${name}`)
    yield* root.grantRole(name, `role of ${name}`)
    for (const [permType, key, end] of grants) yield* root.grant(`role of ${name}`, permType, key, end)
    return client(api, { token: yield* client(api).logIn(name, `pw of ${name}`) })
  })
