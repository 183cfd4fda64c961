import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { Walk, type WalkReport } from "./walk.ts"

/** NETSY_SIM_SECONDS: how long new seeds are tried, in real seconds. NETSY_SEED: one seed only, or where they begin. */
const longSeconds = Number(process.env["NETSY_SIM_SECONDS"] ?? "0")
const givenSeed = process.env["NETSY_SEED"]
const virtualSeconds = Number(process.env["NETSY_SIM_VIRTUAL_SECONDS"] ?? "120")
const fixedSeeds = [1, 2, 3]

const walk = async (seed: number): Promise<WalkReport> => {
  const folder = mkdtempSync(join(tmpdir(), "netsy-sim-"))
  try {
    return await new Walk({ seed, seconds: virtualSeconds, folder, cluster: true }).run()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const expectSound = (seed: number, report: WalkReport): void => {
  const what = [...report.violations, `setting: ${report.setting}`, `again: make sim SEED=${seed}`]
  if (report.violations.length > 0 && givenSeed !== undefined) what.push(...report.log)
  assert.deepStrictEqual(report.violations, [], what.join("\n"))
}

describe("a random walk over three nodes", () => {
  const seeds = givenSeed !== undefined && longSeconds === 0 ? [Number(givenSeed)] : longSeconds === 0 ? fixedSeeds : []
  for (const seed of seeds) {
    it(`with seed ${seed} loses, doubles and reorders nothing, and shows nothing stale`, async () => {
      const report = await walk(seed)
      if (givenSeed !== undefined) process.stderr.write(`${report.setting}\n${JSON.stringify(report.counts)}\n`)
      expectSound(seed, report)
      assert.isAbove(report.counts["writes"]!, 20)
    }, 120_000)
  }

  if (longSeconds > 0) {
    it(
      `for ${longSeconds} s with new seeds loses, doubles and reorders nothing, and shows nothing stale`,
      async () => {
        const until = Date.now() + longSeconds * 1_000
        let seed = Number(givenSeed ?? Date.now() % 1_000_000_000)
        for (; Date.now() < until; seed++) expectSound(seed, await walk(seed))
        process.stderr.write(`walked up to seed ${seed - 1}\n`)
      },
      longSeconds * 1_000 + 240_000
    )
  }
})
