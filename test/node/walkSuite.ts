/** The same suite over the random walks: fixed seeds in `make test`, one given seed, or new seeds for a while. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { Walk, type WalkReport } from "./walk.ts"

export interface WalkSuite {
  readonly over: string
  readonly cluster: boolean
  readonly fixedSeeds: ReadonlyArray<number>
  readonly virtualSeconds: number
  /** How long new seeds are tried, in real seconds; 0: not at all. */
  readonly longSeconds: number
  readonly repeat: (seed: number) => string
}

/** One seed only, or where they begin. */
const givenSeed = process.env["NETSY_SEED"]
const sound = "loses, doubles and reorders nothing, and shows nothing stale"

export const walkSuite = ({ cluster, fixedSeeds, longSeconds, over, repeat, virtualSeconds }: WalkSuite): void => {
  const walk = async (seed: number): Promise<WalkReport> => {
    const folder = mkdtempSync(join(tmpdir(), "netsy-walk-"))
    try {
      return await new Walk({ seed, seconds: virtualSeconds, folder, cluster }).run()
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }

  const expectSound = (seed: number, report: WalkReport): void => {
    const what = [...report.violations, `setting: ${report.setting}`, `again: ${repeat(seed)}`]
    if (report.violations.length > 0 && givenSeed !== undefined) what.push(...report.log)
    assert.deepStrictEqual(report.violations, [], what.join("\n"))
  }

  describe(`a random walk over ${over}`, () => {
    const seeds = longSeconds > 0 ? [] : givenSeed === undefined ? fixedSeeds : [Number(givenSeed)]
    for (const seed of seeds) {
      it(`with seed ${seed} ${sound}`, async () => {
        const report = await walk(seed)
        if (givenSeed !== undefined) process.stderr.write(`${report.setting}\n${JSON.stringify(report.counts)}\n`)
        expectSound(seed, report)
        assert.isAbove(report.counts["writes"]!, 20)
      }, 120_000)
    }

    if (longSeconds > 0) {
      it(
        `for ${longSeconds} s with new seeds ${sound}`,
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
}
