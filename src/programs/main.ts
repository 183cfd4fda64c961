/** What the command line asks for: print and exit, inspect a file, or run the node. Loads only what that needs. */
import { readFileSync } from "node:fs"
import { decide } from "../core/config/command.ts"
import { version } from "../core/version.ts"

const argv = process.argv.slice(2)
if (argv[0] === "inspect") {
  const { runInspect } = await import("./run.ts")
  await runInspect(argv.slice(1))
} else {
  const command = decide({
    argv,
    env: process.env,
    readFile: (path) => readFileSync(path, "utf8"),
    cwd: process.cwd(),
    version
  })
  if (command.action === "exit") {
    process.stdout.write(command.stdout)
    process.stderr.write(command.stderr)
    process.exitCode = command.code
  } else {
    const { runDaemon } = await import("./run.ts")
    runDaemon(command.settings, command.warnings)
  }
}
