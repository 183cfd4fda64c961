/** How the tests run: one process a file, as many at a time as two cores bear, a plain closing line. */
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

export default defineConfig({
  // The examples import the package by its name.
  resolve: { alias: { netsy: fileURLToPath(new URL("src/index.ts", import.meta.url)) } },
  test: {
    // `make test-clients` names those that need packages which `make test` does without.
    include: [process.env["NETSY_TEST_FILES"] ?? "test/**/*.test.ts"],
    // Tests start daemons, worker threads and native code: a crash must not take other files with it.
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
    execArgv: ["--disable-warning=ExperimentalWarning"],
    reporters: ["default", "./scripts/ci/summaryReporter.ts"],
    passWithNoTests: false
  }
})
