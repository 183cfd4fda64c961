/** `netsy verify` on three nodes: beside clients, after a change of Primary, and with a node that is down. */
import { setTimeout as sleep } from "node:timers/promises"
import { assert, describe, it } from "@effect/vitest"
import { repeatOf, type Run, scenario } from "./support/scenario.ts"
import { verify } from "./support/verify.ts"

const file = "Verify.cluster.ts"
const timeout = 600_000

const verifying = async ({ cluster, load, say }: Run): Promise<void> => {
  await cluster.untilVoters(3)
  await sleep(3_000)
  const beside = await verify(cluster)
  say(`beside clients:\n${beside.table}`)
  assert.notStrictEqual(beside.code, 1, beside.table)
  const primary = await cluster.primary()
  await primary.stop()
  await load.untilFlowing(performance.now())
  const without = await verify(cluster)
  assert.notStrictEqual(without.code, 1, without.table)
  primary.start()
  await cluster.untilHealthy()
  await load.stop()
  await cluster.untilHealthy()
  const { code, table } = await verify(cluster)
  say(`at rest:\n${table}`)
  assert.strictEqual(code, 0, table)
  for (const node of cluster.nodes) assert.include(table, `${node.endpoint}  serializable reads show`)
}

describe("netsy verify on three nodes", () => {
  const name = "finds nothing wrong beside clients, after a change of Primary and at rest"
  it(name, { timeout }, () => scenario({ repeat: repeatOf(file, name) }, verifying))
})
