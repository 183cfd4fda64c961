/** Messages of `etcdserverpb.Auth` and of package `authpb`. */
import {
  bool,
  bytes,
  enumeration,
  header,
  message,
  optional,
  repeated,
  string,
  strings,
  uint64,
  type Value
} from "./message.ts"

/** `authpb.Permission`; `permType` as `PermissionType`. */
export const Permission = message("Permission", { permType: enumeration(1), key: bytes(2), rangeEnd: bytes(3) })
export type Permission = Value<typeof Permission>
/** `authpb.UserAddOptions` */
export const UserAddOptions = message("UserAddOptions", { noPassword: bool(1) })
export type UserAddOptions = Value<typeof UserAddOptions>
/** `authpb.User`: how etcd stores one. */
export const User = message("User", {
  name: bytes(1),
  password: bytes(2),
  roles: strings(3),
  options: optional(4, UserAddOptions)
})
export type User = Value<typeof User>
/** `authpb.Role`: how etcd stores one. */
export const Role = message("Role", { name: bytes(1), keyPermission: repeated(2, Permission) })
export type Role = Value<typeof Role>

const nothing = (name: string) => message(name, {})
const named = (name: string) => message(name, { name: string(1) })
const headerOnly = (name: string) => message(name, { header })

export const AuthEnableRequest = nothing("AuthEnableRequest")
export const AuthDisableRequest = nothing("AuthDisableRequest")
export const AuthStatusRequest = nothing("AuthStatusRequest")
export const AuthUserListRequest = nothing("AuthUserListRequest")
export const AuthRoleListRequest = nothing("AuthRoleListRequest")
export const AuthUserGetRequest = named("AuthUserGetRequest")
export const AuthUserDeleteRequest = named("AuthUserDeleteRequest")
export const AuthRoleAddRequest = named("AuthRoleAddRequest")
export const AuthRoleGetRequest = message("AuthRoleGetRequest", { role: string(1) })
export const AuthRoleDeleteRequest = message("AuthRoleDeleteRequest", { role: string(1) })

export const AuthenticateRequest = message("AuthenticateRequest", { name: string(1), password: string(2) })
export type AuthenticateRequest = Value<typeof AuthenticateRequest>
export const AuthUserAddRequest = message("AuthUserAddRequest", {
  name: string(1),
  password: string(2),
  options: optional(3, UserAddOptions),
  hashedPassword: string(4)
})
export type AuthUserAddRequest = Value<typeof AuthUserAddRequest>
export const AuthUserChangePasswordRequest = message("AuthUserChangePasswordRequest", {
  name: string(1),
  password: string(2),
  hashedPassword: string(3)
})
export type AuthUserChangePasswordRequest = Value<typeof AuthUserChangePasswordRequest>
export const AuthUserGrantRoleRequest = message("AuthUserGrantRoleRequest", { user: string(1), role: string(2) })
export type AuthUserGrantRoleRequest = Value<typeof AuthUserGrantRoleRequest>
export const AuthUserRevokeRoleRequest = message("AuthUserRevokeRoleRequest", { name: string(1), role: string(2) })
export type AuthUserRevokeRoleRequest = Value<typeof AuthUserRevokeRoleRequest>
export const AuthRoleGrantPermissionRequest = message("AuthRoleGrantPermissionRequest", {
  name: string(1),
  perm: optional(2, Permission)
})
export type AuthRoleGrantPermissionRequest = Value<typeof AuthRoleGrantPermissionRequest>
export const AuthRoleRevokePermissionRequest = message("AuthRoleRevokePermissionRequest", {
  role: string(1),
  key: bytes(2),
  rangeEnd: bytes(3)
})
export type AuthRoleRevokePermissionRequest = Value<typeof AuthRoleRevokePermissionRequest>

export const AuthStatusResponse = message("AuthStatusResponse", { header, enabled: bool(2), authRevision: uint64(3) })
export type AuthStatusResponse = Value<typeof AuthStatusResponse>
export const AuthenticateResponse = message("AuthenticateResponse", { header, token: string(2) })
export type AuthenticateResponse = Value<typeof AuthenticateResponse>
export const AuthUserGetResponse = message("AuthUserGetResponse", { header, roles: strings(2) })
export type AuthUserGetResponse = Value<typeof AuthUserGetResponse>
export const AuthRoleGetResponse = message("AuthRoleGetResponse", { header, perm: repeated(2, Permission) })
export type AuthRoleGetResponse = Value<typeof AuthRoleGetResponse>
export const AuthRoleListResponse = message("AuthRoleListResponse", { header, roles: strings(2) })
export type AuthRoleListResponse = Value<typeof AuthRoleListResponse>
export const AuthUserListResponse = message("AuthUserListResponse", { header, users: strings(2) })
export type AuthUserListResponse = Value<typeof AuthUserListResponse>

export const AuthEnableResponse = headerOnly("AuthEnableResponse")
export const AuthDisableResponse = headerOnly("AuthDisableResponse")
export const AuthUserAddResponse = headerOnly("AuthUserAddResponse")
export const AuthUserDeleteResponse = headerOnly("AuthUserDeleteResponse")
export const AuthUserChangePasswordResponse = headerOnly("AuthUserChangePasswordResponse")
export const AuthUserGrantRoleResponse = headerOnly("AuthUserGrantRoleResponse")
export const AuthUserRevokeRoleResponse = headerOnly("AuthUserRevokeRoleResponse")
export const AuthRoleAddResponse = headerOnly("AuthRoleAddResponse")
export const AuthRoleDeleteResponse = headerOnly("AuthRoleDeleteResponse")
export const AuthRoleGrantPermissionResponse = headerOnly("AuthRoleGrantPermissionResponse")
export const AuthRoleRevokePermissionResponse = headerOnly("AuthRoleRevokePermissionResponse")
