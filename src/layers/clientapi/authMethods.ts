/** `etcdserverpb.Auth` over the Auth service. Everybody may ask for the status and log in; the rest is for root. */
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
} from "../../core/wire/codec/auth.ts"
import { errors } from "../../core/wire/errors.ts"
import type { Access } from "../../services/Access.ts"
import type { Auth } from "../../services/Auth.ts"
import { type Method, unaryMethod, type UnaryMethod } from "./method.ts"

type Allow<Request> = NonNullable<Method<Request, never>["allow"]>

const root: Allow<unknown> = (access, caller) => access.root(caller)

export const authMethods = (
  auth: Auth["Service"],
  access: Access["Service"],
  maxRequestBytes: number
): ReadonlyMap<string, UnaryMethod> => {
  const table = new Map<string, UnaryMethod>()
  const add = <Request, Response>(
    rpc: string,
    request: Method<Request, Response>["request"],
    response: { readonly encode: (response: Response) => Uint8Array },
    allow: Allow<Request> | undefined,
    call: Method<Request, Response>["call"]
  ): void => {
    const open = { request, encode: response.encode, call }
    const method = unaryMethod(access, allow === undefined ? open : { ...open, allow })
    table.set(`/etcdserverpb.Auth/${rpc}`, (bytes, context, reply, route) => {
      if (bytes.length > maxRequestBytes) reply.fail(errors.requestTooLarge)
      else method(bytes, context, reply, route)
    })
  }

  add("AuthEnable", AuthEnableRequest, AuthEnableResponse, root, (_, reply) => auth.enable(reply))
  add("AuthDisable", AuthDisableRequest, AuthDisableResponse, root, (_, reply) => auth.disable(reply))
  add("AuthStatus", AuthStatusRequest, AuthStatusResponse, undefined, (_, reply) => auth.status(reply))
  add("Authenticate", AuthenticateRequest, AuthenticateResponse, undefined, ({ name, password }, reply) =>
    auth.authenticate(name, password, reply)
  )

  add(
    "UserAdd",
    AuthUserAddRequest,
    AuthUserAddResponse,
    root,
    // The hash of a request is what etcd makes for its log; from a client it counts for nothing.
    ({ name, options, password }, reply, caller) =>
      auth.userAdd({ name, password, noPassword: options?.noPassword === true }, caller, reply)
  )
  add(
    "UserGet",
    AuthUserGetRequest,
    AuthUserGetResponse,
    (checks, caller, { name }) => (name === caller.user ? undefined : checks.root(caller)),
    ({ name }, reply) => auth.userGet(name, reply)
  )
  add("UserList", AuthUserListRequest, AuthUserListResponse, root, (_, reply) => auth.userList(reply))
  add("UserDelete", AuthUserDeleteRequest, AuthUserDeleteResponse, root, ({ name }, reply) =>
    auth.userDelete(name, reply)
  )
  add(
    "UserChangePassword",
    AuthUserChangePasswordRequest,
    AuthUserChangePasswordResponse,
    root,
    (user, reply, caller) => auth.userChangePassword(user, caller, reply)
  )
  add("UserGrantRole", AuthUserGrantRoleRequest, AuthUserGrantRoleResponse, root, ({ role, user }, reply) =>
    auth.userGrantRole(user, role, reply)
  )
  add("UserRevokeRole", AuthUserRevokeRoleRequest, AuthUserRevokeRoleResponse, root, ({ name, role }, reply) =>
    auth.userRevokeRole(name, role, reply)
  )

  add("RoleAdd", AuthRoleAddRequest, AuthRoleAddResponse, root, ({ name }, reply) => auth.roleAdd(name, reply))
  add(
    "RoleGet",
    AuthRoleGetRequest,
    AuthRoleGetResponse,
    (checks, caller, { role }) => (auth.hasRole(caller.user, role) ? undefined : checks.root(caller)),
    ({ role }, reply) =>
      auth.roleGet(role, {
        succeed: ({ header, permissions }) =>
          reply.succeed({
            header,
            perm: permissions.map(({ key, rangeEnd, type }) => ({ permType: type, key, rangeEnd }))
          }),
        fail: reply.fail
      })
  )
  add("RoleList", AuthRoleListRequest, AuthRoleListResponse, root, (_, reply) => auth.roleList(reply))
  add("RoleDelete", AuthRoleDeleteRequest, AuthRoleDeleteResponse, root, ({ role }, reply) =>
    auth.roleDelete(role, reply)
  )
  add(
    "RoleGrantPermission",
    AuthRoleGrantPermissionRequest,
    AuthRoleGrantPermissionResponse,
    root,
    ({ name, perm }, reply) =>
      auth.roleGrantPermission(
        name,
        // The bytes of a request are views into what was received.
        perm === undefined
          ? undefined
          : { type: perm.permType, key: perm.key.slice(), rangeEnd: perm.rangeEnd.slice() },
        reply
      )
  )
  add(
    "RoleRevokePermission",
    AuthRoleRevokePermissionRequest,
    AuthRoleRevokePermissionResponse,
    root,
    ({ key, rangeEnd, role }, reply) => auth.roleRevokePermission(role, key, rangeEnd, reply)
  )
  return table
}
