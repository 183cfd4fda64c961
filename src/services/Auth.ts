/**
 * Users, roles and what they may do: `etcdserverpb.Auth` without a transport. Changes are entries of the log; every answer
 * waits until what it tells is committed.
 */
import { Context } from "effect"
import type { Permission } from "../core/log/opAuth.ts"
import type { HeaderResponse, ResponseHeader } from "../core/wire/messages.ts"
import type { Caller } from "./Access.ts"
import type { Reply } from "./Kv.ts"

/** Undefined while authentication is off. Looked at again where hashing a password comes between asking and doing. */
type MaybeCaller = Caller | undefined

interface Headed {
  readonly header: ResponseHeader
}

export class Auth extends Context.Service<
  Auth,
  {
    readonly enable: (reply: Reply<HeaderResponse>) => void
    readonly disable: (reply: Reply<HeaderResponse>) => void
    readonly status: (reply: Reply<Headed & { readonly enabled: boolean; readonly authRevision: number }>) => void
    readonly authenticate: (name: string, password: string, reply: Reply<Headed & { readonly token: string }>) => void

    readonly userAdd: (
      user: { readonly name: string; readonly password: string; readonly noPassword: boolean },
      caller: MaybeCaller,
      reply: Reply<HeaderResponse>
    ) => void
    /** `hashedPassword` (base64 of a bcrypt text) counts where the password is empty. */
    readonly userChangePassword: (
      user: { readonly name: string; readonly password: string; readonly hashedPassword: string },
      caller: MaybeCaller,
      reply: Reply<HeaderResponse>
    ) => void
    readonly userDelete: (name: string, reply: Reply<HeaderResponse>) => void
    readonly userGet: (name: string, reply: Reply<Headed & { readonly roles: ReadonlyArray<string> }>) => void
    readonly userList: (reply: Reply<Headed & { readonly users: ReadonlyArray<string> }>) => void
    readonly userGrantRole: (name: string, role: string, reply: Reply<HeaderResponse>) => void
    readonly userRevokeRole: (name: string, role: string, reply: Reply<HeaderResponse>) => void

    readonly roleAdd: (name: string, reply: Reply<HeaderResponse>) => void
    readonly roleDelete: (name: string, reply: Reply<HeaderResponse>) => void
    readonly roleGet: (name: string, reply: Reply<Headed & { readonly permissions: ReadonlyArray<Permission> }>) => void
    readonly roleList: (reply: Reply<Headed & { readonly roles: ReadonlyArray<string> }>) => void
    readonly roleGrantPermission: (
      name: string,
      permission: Permission | undefined,
      reply: Reply<HeaderResponse>
    ) => void
    readonly roleRevokePermission: (
      name: string,
      key: Uint8Array,
      rangeEnd: Uint8Array,
      reply: Reply<HeaderResponse>
    ) => void

    readonly hasRole: (user: string, role: string) => boolean
  }
>()("netsy/services/Auth") {}
