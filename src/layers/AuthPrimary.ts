/** `Auth` over the replicated state: evaluated at head, answered when that is committed. */
import { Effect, Layer } from "effect"
import {
  authOp,
  checkUserAdd,
  disable,
  enable,
  type Outcome,
  permissionsOf,
  roleAdd,
  roleDelete,
  roleGrantPermission,
  roleRevokePermission,
  userChangePassword,
  userDelete,
  userGrantRole,
  userRevokeRole
} from "../core/auth/changes.ts"
import { checkRoot } from "../core/auth/checks.ts"
import { byText } from "../core/auth/state.ts"
import { Code, type EtcdError, errors, etcdError, isEtcdError } from "../core/wire/errors.ts"
import type { HeaderResponse, ResponseHeader } from "../core/wire/messages.ts"
import type { Caller } from "../services/Access.ts"
import { Auth } from "../services/Auth.ts"
import { AuthTokens } from "../services/AuthTokens.ts"
import type { Reply } from "../services/Kv.ts"
import { Log } from "../services/Log.ts"
import { NodeStatus } from "../services/NodeStatus.ts"
import { Passwords } from "../services/Passwords.ts"
import { ReplicatedState } from "../services/ReplicatedState.ts"

/** The answer of etcd to a password where none belongs, and to a hash that is not base64. */
const passwordNotWanted = etcdError(
  Code.Unknown,
  "auth: authentication failed, password was given for no password user"
)

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

export const layer: Layer.Layer<Auth, never, ReplicatedState | AuthTokens | Passwords | NodeStatus | Log> =
  Layer.effect(
    Auth,
    Effect.gen(function* () {
      const state = yield* ReplicatedState
      const tokens = yield* AuthTokens
      const passwords = yield* Passwords
      const status = yield* NodeStatus
      const log = yield* Log

      const header = (): ResponseHeader => status.header(state.store.headRevision)

      /** Tells what is so at head, once that is committed. For the Primary. */
      const answer = <A>(reply: Reply<A>, response: A | EtcdError): void =>
        state.whenHeadReadable({
          done: () => (isEtcdError(response) ? reply.fail(response) : reply.succeed(response)),
          failed: reply.fail
        })

      /** Tokens follow the head, as the checks do: one that is made from here on is made by what was just appended. */
      state.onHeadOp((op) => {
        if (op.kind !== "auth") return
        const { change } = op.auth
        if (change.kind === "disable") tokens.forgetAll()
        else if (change.kind === "userDelete" || change.kind === "userChangePassword") tokens.forgetUser(change.name)
      })
      // Users may have gone without an operation that says so.
      state.onReloaded(tokens.forgetAll)

      const change = (reply: Reply<HeaderResponse>, evaluate: () => Outcome): void =>
        state.guarded(reply, () => {
          const next = state.next()
          if (isEtcdError(next)) return reply.fail(next)
          const outcome = evaluate()
          if (outcome === undefined) return answer(reply, { header: header() })
          if (isEtcdError(outcome)) return answer(reply, outcome)
          const auth = authOp(state.auth(), outcome)
          const revision = state.append(
            next,
            [],
            { kind: "auth", auth },
            { done: () => reply.succeed({ header: status.header(revision) }), failed: reply.fail }
          )
        })

      /** Time has passed since the caller was let in. */
      const stillRoot = (caller: Caller | undefined): EtcdError | undefined => {
        if (!state.auth().enabled) return undefined
        return caller === undefined ? errors.userEmpty : checkRoot(state.auth(), caller)
      }

      const withHash = (password: string, reply: Reply<HeaderResponse>, use: (hash: Uint8Array) => Outcome): void =>
        passwords.hash(password, { succeed: (hash) => change(reply, () => use(hash)), fail: reply.fail })

      const logIn = (name: string, password: string, reply: Parameters<Auth["Service"]["authenticate"]>[2]): void => {
        const { enabled, revision, users } = state.auth()
        if (!enabled) return reply.fail(errors.authNotEnabled)
        const user = users.get(name)
        if (user === undefined) return reply.fail(errors.authFailed)
        if (user.noPassword) return reply.fail(passwordNotWanted)
        const checked = (matches: boolean): void => {
          // Users have changed meanwhile, this one perhaps: once more.
          const now = state.auth()
          if (now.revision !== revision || !now.enabled || now.users.get(name) !== user) {
            return logIn(name, password, reply)
          }
          if (!matches) {
            log.warn("auth_login_failed", { user: name })
            return reply.fail(errors.authFailed)
          }
          const use = (token: string): void => state.readHead(reply, () => ({ header: header(), token }))
          tokens.assign(name, revision, state.headIndex(), use, reply.fail)
        }
        passwords.matches(password, user.passwordHash, {
          succeed: (matches) => state.guarded(reply, () => checked(matches)),
          fail: reply.fail
        })
      }

      state.onCommittedOp((op) => {
        if (op.kind !== "auth") return
        const { kind } = op.auth.change
        if (kind === "enable" || kind === "disable") log.info("auth_switched", { enabled: kind === "enable" })
      })

      return Auth.of({
        enable: (reply) => change(reply, () => enable(state.auth())),
        disable: (reply) => change(reply, () => disable(state.auth())),
        status: (reply) =>
          state.readHead(reply, () => {
            const { enabled, revision } = state.auth()
            return { header: header(), enabled, authRevision: revision }
          }),
        // The users that are asked are those of a linearizable read.
        authenticate: (name, password, reply) =>
          state.whenHeadReadable({
            done: () => state.guarded(reply, () => logIn(name, password, reply)),
            failed: reply.fail
          }),

        userAdd: ({ name, noPassword, password }, caller, reply) => {
          const add = (passwordHash: Uint8Array): Outcome =>
            stillRoot(caller) ?? checkUserAdd(state.auth(), name) ?? { kind: "userAdd", name, passwordHash, noPassword }
          if (noPassword) return change(reply, () => add(new Uint8Array(0)))
          const next = state.next()
          if (isEtcdError(next)) return reply.fail(next)
          const refused = checkUserAdd(state.auth(), name)
          if (refused !== undefined) return answer(reply, refused)
          withHash(password, reply, add)
        },
        userChangePassword: ({ hashedPassword, name, password }, caller, reply) => {
          const next = state.next()
          if (isEtcdError(next)) return reply.fail(next)
          const replace = (hash: Uint8Array): Outcome =>
            stillRoot(caller) ?? userChangePassword(state.auth(), name, hash)
          const user = state.auth().users.get(name)
          if (user === undefined) return answer(reply, errors.userNotFound)
          if (password !== "" && !user.noPassword) return withHash(password, reply, replace)
          if (!user.noPassword && !base64.test(hashedPassword)) return answer(reply, passwordNotWanted)
          change(reply, () => replace(Buffer.from(hashedPassword, "base64")))
        },
        userDelete: (name, reply) => change(reply, () => userDelete(state.auth(), name)),
        userGet: (name, reply) =>
          state.readHead(reply, () => {
            const user = state.auth().users.get(name)
            return user === undefined ? errors.userNotFound : { header: header(), roles: user.roles }
          }),
        userList: (reply) =>
          state.readHead(reply, () => ({ header: header(), users: [...state.auth().users.keys()].sort(byText) })),
        userGrantRole: (name, role, reply) => change(reply, () => userGrantRole(state.auth(), name, role)),
        userRevokeRole: (name, role, reply) => change(reply, () => userRevokeRole(state.auth(), name, role)),

        roleAdd: (name, reply) => change(reply, () => roleAdd(state.auth(), name)),
        roleDelete: (name, reply) => change(reply, () => roleDelete(state.auth(), name)),
        roleGet: (name, reply) =>
          state.readHead(reply, () => {
            const permissions = permissionsOf(state.auth(), name)
            return isEtcdError(permissions) ? permissions : { header: header(), permissions }
          }),
        roleList: (reply) =>
          state.readHead(reply, () => ({ header: header(), roles: [...state.auth().roles.keys()].sort(byText) })),
        roleGrantPermission: (name, permission, reply) =>
          change(reply, () => roleGrantPermission(state.auth(), name, permission)),
        roleRevokePermission: (name, key, rangeEnd, reply) =>
          change(reply, () => roleRevokePermission(state.auth(), name, key, rangeEnd)),

        hasRole: (user, role) => state.auth().users.get(user)?.roles.includes(role) === true
      })
    })
  )
