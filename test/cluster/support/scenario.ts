/** A scenario: a cluster under load, something done to it, and at the end the verdict of the checkers. */
import { assert } from "@effect/vitest"
import { seededRandom } from "../../../src/programs/dev-s3/faults.ts"
import { Cluster, type ClusterOptions } from "./cluster.ts"
import { Load, type LoadOptions } from "./load.ts"

export const seed = Number(process.env["NETSY_SEED"] ?? "1")

export interface Run {
  readonly cluster: Cluster
  readonly load: Load
  readonly random: () => number
  /** One line of progress, with the seconds since the start. */
  readonly say: (text: string) => void
  /** For the report. */
  readonly figures: Record<string, unknown>
}

export interface ScenarioOptions extends ClusterOptions {
  readonly load?: LoadOptions
  /** Default: `seed`. */
  readonly seed?: number
  /** How to run just this one. */
  readonly repeat: string
  /** False: the run itself says what must hold, because acknowledged writes may be lost in it. */
  readonly check?: boolean
}

/** `make test-cluster` for one file and one name. */
export const repeatOf = (file: string, name: string, of = seed): string =>
  `NETSY_SEED=${of} make test-cluster ARGS="test/cluster/${file} -t '${name}'"`

export const scenario = async (
  options: ScenarioOptions,
  body: (run: Run) => Promise<ReadonlyArray<string> | void>
): Promise<void> => {
  const own = options.seed ?? seed
  const cluster = new Cluster({ ...options, seed: own })
  const begin = performance.now()
  const say = (text: string): void =>
    void process.stdout.write(`  ${((performance.now() - begin) / 1000).toFixed(1).padStart(6)} s  ${text}\n`)
  const figures: Record<string, unknown> = {}
  let good = false
  try {
    await cluster.start()
    const load = new Load(cluster, { seed: own, ...options.load })
    load.start()
    const found: Array<string> = []
    try {
      found.push(...((await body({ cluster, load, random: seededRandom(own), say, figures })) ?? []))
    } finally {
      await load.stop()
    }
    const began = performance.now()
    if (options.check !== false) {
      await cluster.untilHealthy()
      found.push(...(await load.complaints()))
    }
    for (const node of cluster.nodes) if (node.fell) found.push(`${node.id} ended by itself:\n${node.process.tail()}`)
    const checkMillis = Math.round(performance.now() - began)
    process.stdout.write(
      `${JSON.stringify({ ...figures, ...load.report(), checkMillis })}\nrepeat: ${options.repeat}\n`
    )
    assert.deepStrictEqual(found, [], `repeat: ${options.repeat}`)
    good = true
  } catch (error) {
    process.stdout.write(`${cluster.tails()}\nlogs and data: ${cluster.folder}\nrepeat: ${options.repeat}\n`)
    throw error
  } finally {
    await cluster.release(!good)
  }
}
