/** Who may watch what: refusals in their place on the stream, and who calls is asked with every create. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { decodeWatchResponse, encodeWatchRequest } from "../../src/core/wire/codec/watch.ts"
import { type EtcdError, errors } from "../../src/core/wire/errors.ts"
import type { WatchCreateRequest, WatchRequest, WatchResponse } from "../../src/core/wire/messages.ts"
import * as ClientApiEtcd from "../../src/layers/ClientApiEtcd.ts"
import { watchGate } from "../../src/layers/clientapi/watchGate.ts"
import { Access, type Caller } from "../../src/services/Access.ts"
import { ClientApi } from "../../src/services/ClientApi.ts"
import * as AccessOpen from "../support/AccessOpen.ts"
import { ground, hubProbe } from "../clientapi/fakes.ts"
import { type Api, bytes, client, contextOf, makeAuthWorld, startApi, type Who, withRoot, withUser } from "./world.ts"

const created = (key: string, end = "", more: Partial<WatchCreateRequest> = {}): WatchRequest => ({
  kind: "create",
  create: {
    key: bytes(key),
    rangeEnd: bytes(end),
    startRevision: 0,
    progressNotify: false,
    filters: [],
    prevKv: false,
    watchId: 0n,
    fragment: false,
    ...more
  }
})

const watch = (api: Api, who: Who) => {
  const messages: Array<WatchResponse> = []
  const ends: Array<EtcdError | undefined> = []
  const stream = api.stream("/etcdserverpb.Watch/Watch", contextOf(who), {
    send: (message) => {
      messages.push(decodeWatchResponse(message))
      return true
    },
    end: (error) => {
      ends.push(error)
    }
  })
  return { messages, ends, stream, send: (request: WatchRequest) => stream.message(encodeWatchRequest(request)) }
}

/** What a client sees of an answer to a create. */
const shown = ({ cancelReason, canceled, watchId }: WatchResponse): string =>
  canceled ? `${watchId} ${cancelReason}` : `${watchId}`

const denied = "-1 rpc error: code = PermissionDenied desc = etcdserver: permission denied"

describe("watches with authentication", () => {
  it.live("are made for who may read all of their keys, and refused in their turn", () =>
    Effect.gen(function* () {
      const { api, node } = yield* startApi(makeAuthWorld())
      const root = yield* withRoot(api)
      yield* withUser(api, root, "alice", [
        [0, "a", "c"],
        [0, "x", "\0"],
        [1, "w"]
      ])
      const token = yield* client(api).logIn("alice", "pw of alice")
      const { messages, send, stream } = watch(api, { token })
      send(created("a"))
      send(created("c"))
      send(created("a", "c"))
      send(created("a", "d"))
      send(created("w"))
      send(created("x", "\0"))
      send(created("", "\0"))
      send(created(""))
      send(created("b", "a"))
      send(created("q", "p"))
      send(created("c", "", { startRevision: -1 }))
      assert.deepStrictEqual(messages.map(shown), [
        "0",
        denied,
        "1",
        denied,
        denied,
        "2",
        denied,
        denied,
        "-1 mvcc: watcher range is empty",
        denied,
        "-1 etcdserver: mvcc: required revision has been compacted"
      ])
      assert.isTrue(messages.every((message) => message.created && message.header!.revision === 1))
      yield* root.put("b")
      yield* root.put("d")
      assert.deepStrictEqual(
        messages.slice(11).map(({ events, watchId }) => [Number(watchId), events.length]),
        [[1, 1]]
      )
      stream.closed()
      yield* node.stop
    })
  )

  it.live("say who is missing and which token is bad, by the state at the create", () =>
    Effect.gen(function* () {
      const { api, node } = yield* startApi(makeAuthWorld())
      const early = watch(api, {})
      early.send(created("a"))
      const root = yield* withRoot(api)
      early.send(created("b"))
      assert.deepStrictEqual(early.messages.map(shown), [
        "0",
        "-1 rpc error: code = InvalidArgument desc = etcdserver: user name is empty"
      ])
      // What was open stays open.
      yield* root.put("a")
      assert.strictEqual(early.messages.length, 3)

      const bad = watch(api, { token: "nonsense" })
      bad.send(created("a"))
      assert.deepStrictEqual(bad.messages.map(shown), [
        "-1 rpc error: code = Unauthenticated desc = etcdserver: invalid auth token"
      ])
      const alice = yield* withUser(api, root, "alice", [[0, "a"]])
      yield* alice.range("a")
      const token = yield* client(api).logIn("alice", "pw of alice")
      const hers = watch(api, { token })
      hers.send(created("a"))
      yield* root.revoke("role of alice", "a")
      hers.send(created("a"))
      yield* root.disable
      hers.send(created("a"))
      assert.deepStrictEqual(hers.messages.map(shown), ["0", denied, "1"])
      assert.deepStrictEqual(bad.ends, [])
      yield* node.stop
    })
  )

  /** Authentication is on; the test decides when and how each caller is made out. */
  const heldAccess = Effect.gen(function* () {
    const asked: Array<{ readonly use: (caller: Caller) => void; readonly refuse: (error: EtcdError) => void }> = []
    const open = yield* Access
    const access: Access["Service"] = {
      ...open,
      enabled: () => true,
      identify: (_context, use, refuse) => {
        asked.push({ use, refuse })
      },
      watch: (caller, { key }) => (caller.user === Buffer.from(key).toString() ? undefined : errors.authOldRevision)
    }
    return { access, asked }
  }).pipe(Effect.provide(AccessOpen.layer))

  it.effect("keep their order while a token is being checked", () =>
    Effect.gen(function* () {
      const { access, asked } = yield* heldAccess
      const seen: Array<string> = []
      const admit = watchGate(access, contextOf({}), (request, refusal) => {
        const name = request.kind === "create" ? Buffer.from(request.create.key).toString() : request.kind
        seen.push(refusal === undefined ? name : `${name}: ${refusal}`)
      })
      for (const request of [
        { kind: "progress" } as const,
        created("a"),
        created("b"),
        { kind: "cancel", watchId: 3n } as const,
        created("c")
      ]) {
        assert.isTrue(admit(request))
      }
      assert.deepStrictEqual(seen, ["progress"])
      assert.strictEqual(asked.length, 1)
      asked[0]!.use({ user: "a", authRevision: 1 })
      assert.deepStrictEqual(seen, ["progress", "a"])
      assert.strictEqual(asked.length, 2)
      asked[1]!.use({ user: "a", authRevision: 1 })
      const old = "rpc error: code = InvalidArgument desc = etcdserver: revision of auth store is old"
      assert.deepStrictEqual(seen.slice(2), [`b: ${old}`, "cancel"])
      asked[2]!.refuse(errors.invalidAuthToken)
      assert.deepStrictEqual(seen.slice(4), [
        "c: rpc error: code = Unauthenticated desc = etcdserver: invalid auth token"
      ])
    })
  )

  it.effect("end with their stream when too many wait, and are not made after it", () =>
    Effect.gen(function* () {
      const { access, asked } = yield* heldAccess
      const probe = hubProbe()
      yield* Effect.gen(function* () {
        const { ends, messages, send, stream } = watch(yield* ClientApi, {})
        for (let i = 0; i < 1_026; i++) send(created("a"))
        assert.deepStrictEqual(ends, [errors.tooManyRequests])
        asked[0]!.use({ user: "a", authRevision: 1 })
        assert.strictEqual(probe.requests.length, 0)
        assert.strictEqual(messages.length, 0)
        stream.closed()

        const second = watch(yield* ClientApi, {})
        second.send(created("a"))
        second.stream.closed()
        asked.at(-1)!.use({ user: "a", authRevision: 1 })
        assert.strictEqual(probe.requests.length, 0)
      }).pipe(Effect.provide(ClientApiEtcd.layer.pipe(Layer.provide(ground({ probe, access })))))
    })
  )
})
