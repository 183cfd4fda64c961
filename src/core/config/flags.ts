/** The daemon's command line: long flags with `--name value` or `--name=value`, `-v` and `-h`. A later one wins. */
import { nearest } from "./nearest.ts"
import type { Problem } from "./problem.ts"
import { storageWordForms } from "./storageWord.ts"

export interface Flags {
  readonly config: string | undefined
  readonly validate: string | undefined
  readonly storage: string | undefined
  readonly insecure: boolean
  readonly verbose: boolean
  readonly version: boolean
  readonly help: boolean
}

export interface NodeFlagSpec {
  readonly name: string
  readonly short?: string
  /** What stands for the value in help; absent: a switch. */
  readonly value?: string
  readonly about: string
}

/** What `netsy --help` and docs/configuration.md show, in this order. */
export const nodeFlagTable = [
  { name: "config", value: "PATH", about: "cluster file, JSON with comments (or NETSY_CONFIG)" },
  { name: "validate", value: "PATH", about: "check a cluster file and this node's variables, then exit" },
  { name: "storage", value: "WORD", about: `${storageWordForms} (or NETSY_STORAGE)` },
  { name: "insecure", about: "no TLS; refuses to listen beyond loopback" },
  { name: "verbose", short: "v", about: "debug log (or NETSY_DEBUG=true)" },
  { name: "version", about: "print the version" },
  { name: "help", short: "h", about: "this text" }
] as const satisfies ReadonlyArray<NodeFlagSpec>

type FlagRow = (typeof nodeFlagTable)[number]
type ValueFlag = Extract<FlagRow, { readonly value: string }>["name"]
type SwitchFlag = Exclude<FlagRow["name"], ValueFlag>

const valueFlags: ReadonlyArray<ValueFlag> = nodeFlagTable.flatMap((flag) => ("value" in flag ? [flag.name] : []))
const switchFlags: ReadonlyArray<SwitchFlag> = nodeFlagTable.flatMap((flag) => ("value" in flag ? [] : [flag.name]))
const shortNames: ReadonlyMap<string, string> = new Map(
  nodeFlagTable.flatMap((flag) => ("short" in flag ? [[`-${flag.short}`, `--${flag.name}`] as const] : []))
)
const truths: Readonly<Record<string, boolean>> = { true: true, "1": true, false: false, "0": false }

const known = nodeFlagTable.map(({ name }) => `--${name}`)

export const parseFlags = (
  argv: ReadonlyArray<string>
): { readonly flags: Flags; readonly problems: ReadonlyArray<Problem> } => {
  const values: Record<ValueFlag, string | undefined> = {
    config: undefined,
    validate: undefined,
    storage: undefined
  }
  const switches = { insecure: false, verbose: false, version: false, help: false }
  const problems: Array<Problem> = []

  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!
    const text = shortNames.get(word) ?? word
    if (!text.startsWith("--") || text === "--") {
      problems.push({ key: "argument", value: word, allowed: `no further arguments; flags: ${known.join(", ")}` })
      continue
    }
    const equals = text.indexOf("=")
    const name = equals < 0 ? text.slice(2) : text.slice(2, equals)
    const attached = equals < 0 ? undefined : text.slice(equals + 1)
    const valueFlag = valueFlags.find((candidate) => candidate === name)
    const switchFlag = switchFlags.find((candidate) => candidate === name)
    if (valueFlag !== undefined) {
      const value = attached ?? argv[++i]
      if (value === undefined || value === "") {
        problems.push({
          key: `--${name}`,
          value: undefined,
          allowed: `a value: --${name} ${name === "storage" ? "dir:PATH" : "PATH"}`
        })
      } else values[valueFlag] = value
    } else if (switchFlag !== undefined) {
      const truth = attached === undefined ? true : Object.hasOwn(truths, attached) ? truths[attached] : undefined
      if (truth === undefined) problems.push({ key: `--${name}`, value: attached, allowed: "true or false" })
      else switches[switchFlag] = truth
    } else {
      const meant = nearest(`--${name}`, known)
      const hint = meant === undefined ? "" : ` (did you mean ${meant}?)`
      problems.push({ key: `--${name}`, value: word, allowed: `one of ${known.join(", ")}${hint}` })
    }
  }
  return { flags: { ...values, ...switches }, problems }
}

const nameOf = (flag: NodeFlagSpec): string => `--${flag.name}${flag.value === undefined ? "" : ` ${flag.value}`}`

const flagLine = (flag: NodeFlagSpec): string =>
  `${flag.short === undefined ? "      " : `  -${flag.short}, `}${nameOf(flag).padEnd(18)}${flag.about}\n`

export const helpText = `netsy: an etcd-compatible key-value store whose permanent home is object storage

Usage:
  netsy --config PATH                          a node of a cluster (file: docs/configuration.md)
  netsy --storage dir:./data --insecure        one node, no file, no certificates, 127.0.0.1 only
  netsy etcd FLAGS                             the flags and ports of etcd (docs/etcd-mode.md)
  netsy status                                 shows the cluster as a node sees it (docs/cluster.md)
  netsy recover NODE                           declares a dead node gone for good (docs/cluster.md)
  netsy verify                                 checks that the bucket and all nodes fit together
  netsy restore --to dir:./again               the state of a moment, as the beginning of a new store
  netsy inspect FILE                           shows a data file of the store (docs/data-files.md)

Flags:
${nodeFlagTable.map(flagLine).join("")}
Flags win over variables, variables win over the file. Every key of the file is also a variable:
NETSY_ and its path in capitals, for example NETSY_SNAPSHOT_KEEP for snapshot.keep.
`
