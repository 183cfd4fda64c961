/** The short form of the cluster scenarios: one kill, one clean stop, one lost disk, under load. */
import { assert, describe, it } from "@effect/vitest"
import { brief } from "./support/load.ts"
import { scenario, seed } from "./support/scenario.ts"

const repeat = `NETSY_SEED=${seed} make test ARGS=test/cluster`

describe("three nodes under load", () => {
  it(
    "go on when the Primary is killed, when one is stopped, and when one loses its disk",
    { timeout: 240_000 },
    async () => {
      await scenario({ repeat, load: { clients: 10 } }, async ({ cluster, figures, load, say }) => {
        await cluster.untilVoters(3)
        const killed = await cluster.primary()
        const kill = performance.now()
        await killed.kill9()
        await load.untilFlowing(kill)
        figures["kill"] = brief(load.gapsAfter(kill))
        say(`${killed.id} was killed`)
        killed.start()
        await cluster.untilHealthy()

        const stopped = await cluster.primary()
        const stop = performance.now()
        const code = await stopped.stop()
        if (cluster.program === "netsy") assert.strictEqual(code, 0)
        await load.untilFlowing(stop)
        figures["stop"] = brief(load.gapsAfter(stop))
        say(`${stopped.id} was stopped`)
        // An etcd that lost its disk would have to be added anew.
        if (cluster.program === "netsy") stopped.wipe()
        stopped.start()
        await cluster.untilHealthy()
        say(`${stopped.id} came back`)
      })
    }
  )
})
