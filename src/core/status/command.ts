/** The command lines of `netsy status` and `netsy recover`. Pure. */
import { isWildcard, parseHostPort } from "../config/address.ts"
import type { HostPort } from "../../services/Settings.ts"

const statusUsage = `Usage: netsy status [--endpoint HOST:PORT[,HOST:PORT]] [--watch] [--json]
  Shows the cluster as one node sees it (docs/cluster.md).
      --endpoint LIST   health ports to ask, the first that answers counts (default: NETSY_BIND_HEALTH, else 127.0.0.1:8080)
      --watch           again every second, until it is stopped
      --json            what the node answers, as it is
`

const recoverUsage = `Usage: netsy recover NODE [--yes] [--storage STORAGE | --config FILE]
  Declares that a dead node never comes back with its disk (docs/cluster.md). Works on the bucket; no node has to run.
      --yes             does it; without it only what would happen is said
`

export interface Exit {
  readonly kind: "exit"
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface StatusCommand {
  readonly kind: "status"
  readonly endpoints: ReadonlyArray<HostPort>
  readonly watch: boolean
  readonly json: boolean
}

export interface RecoverCommand {
  readonly kind: "recover"
  readonly nodeId: string
  readonly yes: boolean
  /** For the configuration of the storage. */
  readonly rest: ReadonlyArray<string>
}

const help = (usage: string): Exit => ({ kind: "exit", code: 0, stdout: usage, stderr: "" })
const wrong = (what: string, problem: string, usage: string): Exit => ({
  kind: "exit",
  code: 1,
  stdout: "",
  stderr: `netsy ${what}: ${problem}\n${usage}`
})

/** Where a port that is listened on can be dialled from this machine. */
const dialled = ({ host, port }: HostPort): HostPort => ({
  host: isWildcard(host) ? (host.includes(":") ? "::1" : "127.0.0.1") : host,
  port
})

export const decideStatus = (
  argv: ReadonlyArray<string>,
  env: Readonly<Record<string, string | undefined>>
): StatusCommand | Exit => {
  let list: string | undefined
  let watch = false
  let json = false
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!
    if (word === "--help" || word === "-h") return help(statusUsage)
    if (word === "--watch") watch = true
    else if (word === "--json") json = true
    else if (word === "--endpoint" || word.startsWith("--endpoint=")) {
      list = word === "--endpoint" ? argv[++i] : word.slice("--endpoint=".length)
      if (list === undefined || list === "") return wrong("status", "--endpoint needs HOST:PORT", statusUsage)
    } else return wrong("status", `what is ${JSON.stringify(word)}?`, statusUsage)
  }
  const endpoints: Array<HostPort> = []
  for (const text of (list ?? (env["NETSY_BIND_HEALTH"] || "127.0.0.1:8080")).split(",")) {
    const parsed = parseHostPort(text.trim())
    if (!parsed.ok) return wrong("status", `${JSON.stringify(text)}: ${parsed.reason}`, statusUsage)
    endpoints.push(dialled(parsed.address))
  }
  return { kind: "status", endpoints, watch, json }
}

export const decideRecover = (argv: ReadonlyArray<string>): RecoverCommand | Exit => {
  const rest: Array<string> = []
  let nodeId: string | undefined
  let yes = false
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!
    if (word === "--help" || word === "-h") return help(recoverUsage)
    if (word === "--yes") yes = true
    else if (word === "--storage" || word === "--config") rest.push(word, argv[++i] ?? "")
    else if (word.startsWith("-")) rest.push(word)
    else if (nodeId !== undefined) return wrong("recover", "one node at a time", recoverUsage)
    else nodeId = word
  }
  if (nodeId === undefined) return wrong("recover", "which node?", recoverUsage)
  return { kind: "recover", nodeId, yes, rest }
}
