/**
 * What the command line asks for: print and exit, a subcommand, or the node, as Netsy or as etcd. Loads only what that
 * needs.
 */
import { existsSync, readFileSync } from "node:fs"
import { commit } from "../core/commit.ts"
import { type Command, decide } from "../core/config/command.ts"
import { version } from "../core/version.ts"

const ground = {
  env: process.env,
  readFile: (path: string) => readFileSync(path, "utf8"),
  cwd: process.cwd(),
  version: commit === undefined ? version : `${version} (commit ${commit})`
}

const etcdCommand = async (argv: ReadonlyArray<string>): Promise<Command> => {
  const { decideEtcd } = await import("../core/config/etcd/command.ts")
  const { arch, platform, version: nodeVersion } = process
  const own = commit === undefined ? version : `${version}+${commit}`
  return decideEtcd({ ...ground, argv, version: own, exists: existsSync, arch, platform, nodeVersion })
}

const subcommands = ["inspect", "status", "recover", "verify", "restore"] as const

/** What a shell says of a program that SIGPIPE ended; Node turns that signal into an error of the stream. */
const brokenPipe = 141

/** `netsy --help | head -1`: whoever reads has seen enough, which is no crash. `work` is done to its end all the same. */
const forReaders = (work: "print" | "change"): void => {
  const gone = (error: NodeJS.ErrnoException): void => {
    // A full disk, say: what was to be printed is not there, and that must not pass in silence.
    if (error.code !== "EPIPE") throw error
    if (work === "print") process.exit(brokenPipe)
  }
  process.stdout.on("error", gone)
  process.stderr.on("error", gone)
}

/** `startedAs`: a link to the program with the name etcd does what `netsy etcd` does. */
export const main = async (startedAs: string, argv: ReadonlyArray<string>): Promise<void> => {
  const isEtcd = startedAs === "etcd"
  const subcommand = isEtcd ? undefined : subcommands.find((name) => name === argv[0])
  if (subcommand !== undefined) {
    forReaders(subcommand === "recover" || subcommand === "restore" ? "change" : "print")
    const { runSubcommand } = await import("./run.ts")
    return runSubcommand(subcommand, argv.slice(1))
  }
  const command = isEtcd
    ? await etcdCommand(argv)
    : argv[0] === "etcd"
      ? await etcdCommand(argv.slice(1))
      : decide({ ...ground, argv })
  if (command.action === "exit") {
    forReaders("print")
    process.stdout.write(command.stdout)
    process.stderr.write(command.stderr)
    process.exitCode = command.code
    return
  }
  const { runDaemon } = await import("./run.ts")
  await runDaemon(command.settings, command.warnings)
}
