/** How unary methods are put together, and effects that answer them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { HealthCheckRequest, HealthCheckResponse } from "../../src/core/wire/codec/health.ts"
import { Code, type EtcdError, errors } from "../../src/core/wire/errors.ts"
import { routeHere, unaryMethod } from "../../src/layers/clientapi/method.ts"
import { makeRun } from "../../src/layers/clientapi/run.ts"
import { ExportFailed } from "../../src/services/EtcdExport.ts"
import type { Access } from "../../src/services/Access.ts"
import { Supervisor } from "../../src/services/Supervisor.ts"
import * as SupervisorFatal from "../../src/layers/SupervisorFatal.ts"

const nobody = { identity: undefined, commonName: undefined, metadata: () => undefined }

describe("a method that shows state", () => {
  const answerAfter = (
    before: { enabled: boolean; revision: number },
    after: { enabled: boolean; revision: number },
    rules: { readonly shows?: boolean; readonly reads?: () => boolean }
  ): Uint8Array | EtcdError | undefined => {
    let now = before
    const access = {
      enabled: () => now.enabled,
      revision: () => now.revision,
      identify: (_context: unknown, use: (caller: { user: string; authRevision: number }) => void) =>
        use({ user: "u", authRevision: 1 })
    } as unknown as Access["Service"]
    let answer: Uint8Array | EtcdError | undefined
    const tell = (found: Uint8Array | EtcdError): void => {
      answer = found
    }
    const method = unaryMethod(access, {
      request: HealthCheckRequest,
      encode: HealthCheckResponse.encode,
      allow: () => undefined,
      ...rules,
      call: (_request, reply) => {
        now = after
        reply.succeed({ status: 1 })
      }
    })
    method(HealthCheckRequest.encode({ service: "" }), nobody, { succeed: tell, fail: tell }, routeHere)
    return answer
  }
  const off = { enabled: false, revision: 4 }
  const on = { enabled: true, revision: 5 }
  const changed = { enabled: true, revision: 6 }

  it("does not show it to somebody who was let in before authentication was switched on, or before a change", () => {
    for (const rules of [{ shows: true }, { reads: () => true }]) {
      assert.strictEqual(answerAfter(off, on, rules), errors.authOldRevision)
      assert.strictEqual(answerAfter(on, changed, rules), errors.authOldRevision)
      for (const [before, after] of [
        [off, off],
        [on, on],
        [on, off]
      ] as const) {
        assert.deepStrictEqual(answerAfter(before, after, rules), HealthCheckResponse.encode({ status: 1 }))
      }
    }
  })

  it("and one that changes it is answered nevertheless", () => {
    assert.deepStrictEqual(answerAfter(off, on, {}), HealthCheckResponse.encode({ status: 1 }))
  })
})

describe("an effect that answers a call", () => {
  const told = (effect: Effect.Effect<number, ExportFailed>, stop = false) =>
    Effect.gen(function* () {
      const answers: Array<unknown> = []
      const supervisor = yield* Supervisor
      const run = yield* makeRun(supervisor)
      const end = run(effect, {
        onSuccess: (value) => answers.push(value),
        onFailure: (error) => answers.push(error)
      })
      if (stop) end()
      for (let i = 0; i < 20; i++) yield* Effect.yieldNow
      const ended = yield* Effect.exit(Effect.timeoutOption(supervisor.ended, 0))
      return { answers, failed: Exit.isFailure(ended) }
    }).pipe(Effect.provide(SupervisorFatal.layer))

  it.live("tells what came of it", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* told(Effect.succeed(7)), { answers: [7], failed: false })
      const error = new ExportFailed({ folder: "data", reason: "full" })
      assert.deepStrictEqual(yield* told(Effect.fail(error)), { answers: [error], failed: false })
    })
  )

  it.live("with a defect tells the caller and ends the process", () =>
    Effect.gen(function* () {
      const { answers, failed } = yield* told(Effect.die(new Error("broken")))
      assert.isTrue(failed)
      assert.strictEqual((answers[0] as EtcdError).code, Code.Internal)
    })
  )

  it.live("that is stopped tells nobody", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* told(Effect.never, true), { answers: [], failed: false })
    })
  )
})
