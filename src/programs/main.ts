/**
 * What the command line asks for: print and exit, a subcommand, or the node, as Netsy or as etcd. Loads only what that
 * needs.
 */
import { existsSync, readFileSync } from "node:fs"
import { basename } from "node:path"
import { type Command, decide } from "../core/config/command.ts"
import { version } from "../core/version.ts"

const argv = process.argv.slice(2)

/** A link to the program with this name does what `netsy etcd` does; bin/netsy says under which name it was started. */
const isEtcd = process.env["NETSY_STARTED_AS"] === "etcd" || basename(process.argv[1] ?? "") === "etcd"
delete process.env["NETSY_STARTED_AS"]

const ground = {
  env: process.env,
  readFile: (path: string) => readFileSync(path, "utf8"),
  cwd: process.cwd(),
  version
}

const etcdCommand = async (words: ReadonlyArray<string>): Promise<Command> => {
  const { decideEtcd } = await import("../core/config/etcd/command.ts")
  const { arch, platform, version: nodeVersion } = process
  return decideEtcd({ ...ground, argv: words, exists: existsSync, arch, platform, nodeVersion })
}

const subcommands = ["inspect", "status", "recover", "verify"] as const
const subcommand = isEtcd ? undefined : subcommands.find((name) => name === argv[0])

if (subcommand !== undefined) {
  const { runSubcommand } = await import("./run.ts")
  await runSubcommand(subcommand, argv.slice(1))
} else {
  const command = isEtcd
    ? await etcdCommand(argv)
    : argv[0] === "etcd"
      ? await etcdCommand(argv.slice(1))
      : decide({ ...ground, argv })
  if (command.action === "exit") {
    process.stdout.write(command.stdout)
    process.stderr.write(command.stderr)
    process.exitCode = command.code
  } else {
    const { runDaemon } = await import("./run.ts")
    await runDaemon(command.settings, command.warnings)
  }
}
