import { assert, describe, it } from "@effect/vitest"
import { killRun } from "./killRun.ts"

/** 5 in `make test`, 30 in `make test-kill`. */
const rounds = Number(process.env["NETSY_KILL_ROUNDS"] ?? "5")
const seed = Number(process.env["NETSY_SEED"] ?? "1")
const repeat = `NETSY_KILL_ROUNDS=${rounds} NETSY_SEED=${seed} make test ARGS=test/kill`
const timeout = 60_000 + rounds * 20_000

const check = (report: Awaited<ReturnType<typeof killRun>>): void => {
  process.stdout.write(`${JSON.stringify(report)}\nrepeat: ${repeat}\n`)
  assert.deepStrictEqual(report.violations, [], `repeat: ${repeat}`)
  assert.strictEqual(report.kills, rounds)
  assert.isAbove(report.acknowledged, rounds * 20)
}

describe("a daemon that is killed under load", () => {
  it("keeps every acknowledged write, although half of the time its disk is lost too", { timeout }, async () => {
    check(await killRun({ rounds, clients: 20, seed, faults: {} }))
  })

  it("keeps them also when one in a hundred PUTs fails and one in a hundred answers is lost", { timeout }, async () => {
    check(
      await killRun({ rounds, clients: 20, seed: seed + 1, faults: { fail: { put: 0.01 }, loseAnswer: { put: 0.01 } } })
    )
  })
})
