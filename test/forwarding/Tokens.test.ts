/** Simple tokens on nodes that did not make them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { noAuth } from "../../src/core/auth/state.ts"
import { type EtcdError, errors, isEtcdError } from "../../src/core/wire/errors.ts"
import { peerMethods } from "../../src/core/wire/peer/methods.ts"
import * as AuthTokensPeers from "../../src/layers/AuthTokensPeers.ts"
import * as AuthTokensSimple from "../../src/layers/AuthTokensSimple.ts"
import * as PeerNetworkMemory from "../../src/layers/PeerNetworkMemory.ts"
import { AuthTokens } from "../../src/services/AuthTokens.ts"
import { FakeNode, groundOf, infoOf, pass } from "./world.ts"

interface Node extends FakeNode {
  readonly tokens: AuthTokens["Service"]
}

const ttlSeconds = 300

const makeNodes = Effect.gen(function* () {
  const hub = new PeerNetworkMemory.MemoryPeers()
  const infos = [1, 2, 3].map(infoOf)
  const nodes: Array<Node> = []
  const scope = yield* Scope.make()
  yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
  for (const info of infos) {
    const fake = new FakeNode(info, infos)
    fake.auth = { ...noAuth, enabled: true, revision: 5 }
    const built = yield* Layer.buildWithScope(
      AuthTokensPeers.layer({ ttlSeconds }).pipe(
        Layer.provide(Layer.fresh(AuthTokensSimple.layer({ ttlSeconds }))),
        Layer.provide(Layer.fresh(groundOf(hub, fake)))
      ),
      scope
    )
    nodes.push(Object.assign(fake, { tokens: yield* Effect.provide(AuthTokens, built) }))
  }
  const asked: Array<string> = []
  hub.decide = (from, to, kind, method) => {
    if (kind === "request" && method === peerMethods.tokenHolder) asked.push(`${from} ${to}`)
    return "deliver"
  }
  return { hub, first: nodes[0]!, second: nodes[1]!, third: nodes[2]!, asked }
})

const logIn = (node: Node, user: string): string => {
  let token = ""
  node.tokens.assign(
    user,
    5,
    17,
    (made) => {
      token = made
    },
    () => {}
  )
  return token
}

const holder = (node: Node, token: string): { answer: string | EtcdError | undefined } => {
  const found: { answer: string | EtcdError | undefined } = { answer: undefined }
  node.tokens.holder(
    token,
    ({ user }) => {
      found.answer = user
    },
    (error) => {
      found.answer = error
    }
  )
  return found
}

describe("a token", () => {
  it.effect("is known at once where it was made", () =>
    Effect.gen(function* () {
      const { asked, first } = yield* makeNodes
      const token = logIn(first, "alice")
      assert.strictEqual(holder(first, token).answer, "alice")
      assert.deepStrictEqual(asked, [])
    })
  )

  it.effect("is asked for at the Primary first, and then remembered", () =>
    Effect.gen(function* () {
      const { asked, first, third } = yield* makeNodes
      third.become("replica", first.info)
      const token = logIn(first, "alice")
      const found = holder(third, token)
      yield* pass(20)
      assert.strictEqual(found.answer, "alice")
      assert.deepStrictEqual(asked, ["n3 n1"])
      assert.strictEqual(holder(third, token).answer, "alice")
      yield* pass(29_000)
      assert.strictEqual(holder(third, token).answer, "alice")
      yield* pass(2_000)
      holder(third, token)
      yield* pass(20)
      assert.deepStrictEqual(asked, ["n3 n1", "n3 n1"])
    })
  )

  it.effect("of a former Primary is found among the others", () =>
    Effect.gen(function* () {
      const { asked, first, second, third } = yield* makeNodes
      second.become("active", undefined)
      const token = logIn(first, "alice")
      const found = holder(second, token)
      yield* pass(20)
      assert.strictEqual(found.answer, "alice")
      assert.deepStrictEqual(asked, ["n2 n1", "n2 n3"])
      third.become("replica", second.info)
      const there = holder(third, token)
      yield* pass(20)
      assert.strictEqual(there.answer, "alice")
    })
  )

  it.effect("is found at once although another node is silent", () =>
    Effect.gen(function* () {
      const { first, hub, second } = yield* makeNodes
      hub.decide = (_from, to) => (to === "n3" ? "drop" : "deliver")
      const found = holder(second, logIn(first, "alice"))
      yield* pass(20)
      assert.strictEqual(found.answer, "alice")
    })
  )

  it.effect("that nobody knows is refused, within the time that a silent node is given", () =>
    Effect.gen(function* () {
      const { asked, first, hub, third } = yield* makeNodes
      const nobodys = holder(third, "abcdefghijklmnop.7")
      const junk = holder(third, "no token")
      assert.strictEqual(junk.answer, errors.invalidAuthToken)
      yield* pass(20)
      assert.strictEqual(nobodys.answer, errors.invalidAuthToken)
      assert.strictEqual(asked.length, 2)
      hub.decide = () => "drop"
      third.become("replica", first.info)
      const lost = holder(third, logIn(first, "alice"))
      yield* pass(900)
      assert.isUndefined(lost.answer)
      yield* pass(1_300)
      assert.strictEqual(lost.answer, errors.invalidAuthToken)
    })
  )

  it.effect("is asked for once, however many wait for it", () =>
    Effect.gen(function* () {
      const { asked, first, third } = yield* makeNodes
      third.become("replica", first.info)
      const token = logIn(first, "alice")
      const found = Array.from({ length: 50 }, () => holder(third, token))
      yield* pass(20)
      assert.isTrue(found.every(({ answer }) => answer === "alice"))
      assert.deepStrictEqual(asked, ["n3 n1"])
    })
  )

  it.effect("lookups are bounded", () =>
    Effect.gen(function* () {
      const { hub, third } = yield* makeNodes
      hub.decide = () => "drop"
      const letters = "abcdefghijklmnop"
      const found = Array.from({ length: 257 }, (_, i) => holder(third, `${letters}.${i}`))
      assert.strictEqual(found[256]!.answer, errors.tooManyRequests)
      yield* pass(2_100)
      assert.isTrue(found.every(({ answer }) => isEtcdError(answer)))
      hub.decide = () => "deliver"
      const next = holder(third, `${letters}.1000`)
      yield* pass(20)
      assert.strictEqual(next.answer, errors.invalidAuthToken)
    })
  )

  it.effect("is not taken from a node that has heard less of users, until it has", () =>
    Effect.gen(function* () {
      const { first, third } = yield* makeNodes
      third.become("replica", first.info)
      third.auth = { ...third.auth, revision: 6 }
      const token = logIn(first, "alice")
      const found = holder(third, token)
      yield* pass(300)
      assert.isUndefined(found.answer)
      first.auth = { ...first.auth, revision: 6 }
      first.tokens.forgetUser("alice")
      yield* pass(200)
      assert.strictEqual(found.answer, errors.invalidAuthToken)
    })
  )

  it.effect("of a user who is gone is forgotten where it was only remembered, and all are with authentication", () =>
    Effect.gen(function* () {
      const { first, third } = yield* makeNodes
      third.become("replica", first.info)
      const [alice, bob] = [logIn(first, "alice"), logIn(first, "bob")]
      holder(third, alice)
      holder(third, bob)
      yield* pass(20)
      first.tokens.forgetUser("alice")
      third.tokens.forgetUser("alice")
      const gone = holder(third, alice)
      yield* pass(20)
      assert.strictEqual(gone.answer, errors.invalidAuthToken)
      assert.strictEqual(holder(third, bob).answer, "bob")
      first.tokens.forgetAll()
      third.tokens.forgetAll()
      const off = holder(third, bob)
      yield* pass(20)
      assert.strictEqual(off.answer, errors.invalidAuthToken)
    })
  )

  it.effect("lives as long as it is used on another node", () =>
    Effect.gen(function* () {
      const { first, third } = yield* makeNodes
      third.become("replica", first.info)
      const token = logIn(first, "alice")
      for (let i = 0; i < 8; i++) {
        const found = holder(third, token)
        yield* pass(100)
        assert.strictEqual(found.answer, "alice")
        yield* TestClock.adjust(100_000)
      }
    })
  )
})
