/** The long cluster scenarios (`make test-cluster`): one at a time, they need the machine for themselves. */
import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    root: new URL("../..", import.meta.url).pathname,
    include: [`test/cluster/${process.env["NETSY_CLUSTER_FILES"] ?? "*.cluster.ts"}`],
    pool: "forks",
    maxWorkers: 1,
    testTimeout: 3_600_000,
    hookTimeout: 60_000,
    teardownTimeout: 60_000,
    // A soak's history is held in memory until it is checked.
    execArgv: ["--disable-warning=ExperimentalWarning", "--max-old-space-size=8192"],
    disableConsoleIntercept: true,
    reporters: ["default", "./scripts/ci/summaryReporter.ts"],
    passWithNoTests: false
  }
})
