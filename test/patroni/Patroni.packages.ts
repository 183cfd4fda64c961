/** A real Patroni through the JSON gateway: it elects, fails over, switches over, and lives through a restart of ours. */
import { setTimeout as sleep } from "node:timers/promises"
import { assert, describe, it } from "@effect/vitest"
import { commands } from "../etcdctl/command.ts"
import { type Daemon, startDaemon } from "../support/daemon.ts"
import { leaderTtlSeconds, type Login, PatroniCluster } from "./cluster.ts"

const startMillis = 120_000
const failoverMillis = (leaderTtlSeconds + 60) * 1000
const leaderKey = "/service/shop/leader"

const withCluster = async (
  count: number,
  login: Login | undefined,
  prepare: (daemon: Daemon) => Promise<void>,
  use: (cluster: PatroniCluster, daemon: Daemon) => Promise<void>
): Promise<void> => {
  const daemon = await startDaemon()
  try {
    await prepare(daemon)
    const cluster = await PatroniCluster.start(daemon.endpoint, count, login)
    try {
      await use(cluster, daemon)
    } finally {
      await cluster.release()
    }
  } finally {
    await daemon.release()
  }
}

/** The leader stays the leader, without a moment as a replica, while the store is restarted. */
const restartStore = async (cluster: PatroniCluster, daemon: Daemon, leader: string): Promise<void> => {
  const before = await cluster.sql(leader, "select pg_postmaster_start_time()")
  await daemon.kill9()
  await daemon.start()
  // Longer than the leader's lease.
  await sleep((leaderTtlSeconds + 3) * 1000)
  assert.strictEqual(await cluster.untilHealthy(1, failoverMillis), leader)
  assert.strictEqual(await cluster.sql(leader, "select pg_postmaster_start_time()"), before)
  assert.strictEqual(await cluster.sql(leader, "select pg_is_in_recovery()"), "f")
}

describe("PostgreSQL under Patroni", () => {
  it("elects a leader, fails over, takes the old one back, switches over", { timeout: 600_000 }, () =>
    withCluster(
      3,
      undefined,
      async () => {},
      async (cluster, daemon) => {
        const ctl = commands(daemon)
        const first = await cluster.untilHealthy(2, startMillis)
        assert.strictEqual(await ctl.run("get", leaderKey, "--print-value-only"), `${first}\n`)
        assert.notStrictEqual(await ctl.run("lease", "list"), "found 0 leases\n")
        await cluster.sql(first, "create table t (n int); insert into t values (1)")

        await cluster.killMember(first)
        const second = await cluster.untilHealthy(1, failoverMillis, first)
        assert.strictEqual(await ctl.run("get", leaderKey, "--print-value-only"), `${second}\n`)
        await cluster.sql(second, "insert into t values (2)")
        assert.strictEqual(await cluster.sql(second, "select sum(n) from t"), "3")

        cluster.startMember(first)
        assert.strictEqual(await cluster.untilHealthy(2, startMillis), second)
        await cluster.untilSql(first, "select sum(n) from t", "3")

        const said = await cluster.switchover(second, first)
        assert.include(said, `Successfully switched over to "${first}"`)
        assert.strictEqual(await cluster.untilHealthy(2, failoverMillis, second), first)
        await cluster.sql(first, "insert into t values (3)")
        await cluster.untilSql(second, "select sum(n) from t", "6")
        const list = await cluster.patronictl("list", "shop")
        assert.match(list, new RegExp(`\\| ${first} +\\|[^|]+\\| Leader +\\| running`))

        await restartStore(cluster, daemon, first)
        await cluster.sql(first, "insert into t values (4)")
        await cluster.untilSql(second, "select sum(n) from t", "10")
      }
    )
  )

  it("does so as a user with a role, whose tokens a restart of the store forgets", { timeout: 600_000 }, () =>
    withCluster(
      2,
      { username: "patroni", password: "word" },
      async (daemon) => {
        const ctl = commands(daemon)
        await ctl.run("user", "add", "root:secret")
        await ctl.run("user", "add", "patroni:word")
        await ctl.run("role", "add", "service")
        await ctl.run("role", "grant-permission", "--prefix", "service", "readwrite", "/service/")
        await ctl.run("user", "grant-role", "patroni", "service")
        await ctl.run("auth", "enable")
      },
      async (cluster, daemon) => {
        const first = await cluster.untilHealthy(1, startMillis)
        const second = (await cluster.state()).find(({ name }) => name !== first)!.name
        await cluster.switchover(first, second)
        assert.strictEqual(await cluster.untilHealthy(1, failoverMillis, first), second)
        await restartStore(cluster, daemon, second)
      }
    )
  )
})
