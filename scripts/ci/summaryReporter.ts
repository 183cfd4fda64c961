/** Vitest reporter: ends a run with one plain line `N passed, N failed`, also written to NETSY_TEST_SUMMARY if set. */
import { writeFileSync } from "node:fs"
import type { Reporter, TestModule } from "vitest/node"

export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: ReadonlyArray<TestModule>, unhandledErrors: ReadonlyArray<unknown>): void {
    let passed = 0
    // An error outside any test fails the run, so it counts.
    let failed = unhandledErrors.length
    for (const module of modules) {
      const before = failed
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === "passed") passed += 1
        else if (state === "failed") failed += 1
      }
      // A file that could not be loaded, or a failing hook, without a failing test of its own.
      if (module.state() === "failed" && failed === before) failed += 1
    }
    const line = `${passed} passed, ${failed} failed`
    const file = process.env["NETSY_TEST_SUMMARY"]
    if (file !== undefined && file !== "") writeFileSync(file, `${line}\n`)
    console.log(line)
  }
}
