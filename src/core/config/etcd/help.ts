/** Texts that the command prints: usage, help, version. */
import { etcdVersion } from "../../version.ts"
import { flagTable, type FlagGroup, type FlagSpec } from "./flagTable.ts"

export const usageText = `Usage:

  etcd [flags]
    Start a server that answers as etcd does.

  etcd --version
    Show the version.

  etcd -h | --help
    Show all flags.

  etcd --config-file PATH
    Read all settings from a YAML or JSON file; flags and variables are ignored then.

Where the data is kept is said by NETSY_STORAGE (dir:PATH, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX);
without it, in the data directory.
`

const titles: Readonly<Record<FlagGroup, string>> = {
  member: "Member",
  cluster: "Cluster",
  security: "Security",
  auth: "Auth",
  logging: "Logging and metrics",
  checks: "Checks, compaction, watches",
  unsafe: "Unsafe",
  misc: "Other"
}

const line = ({ name, fallback, about }: FlagSpec): string =>
  `  --${name}${fallback === "" ? "" : ` '${fallback}'`}\n    ${about.charAt(0).toUpperCase()}${about.slice(1)}.\n`

const groupText = (group: FlagGroup): string => {
  const specs = flagTable.filter((spec) => spec.group === group)
  const used = specs.filter(({ idle, refused }) => idle === undefined && refused === undefined)
  const others = specs.filter(({ idle, refused }) => idle !== undefined || refused !== undefined)
  const idle = others.length === 0 ? "" : `  Known, without effect: ${others.map(({ name }) => name).join(", ")}.\n`
  return `${titles[group]}:\n${used.map(line).join("")}${idle}\n`
}

export const helpText = `${usageText}
Every flag is also a variable: ETCD_ and its name in capitals, with _ for -. Flags win over variables.

${Object.keys(titles)
  .map((group) => groupText(group as FlagGroup))
  .join("")}`

export interface VersionFacts {
  readonly version: string
  readonly nodeVersion: string
  readonly platform: string
  readonly arch: string
}

const goArch: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386" }

/** Four lines as etcd prints them; tools cut the version out of the first. */
export const versionText = ({ arch, nodeVersion, platform, version }: VersionFacts): string =>
  `etcd Version: ${etcdVersion}
Git SHA: netsy-${version}
Go Version: none, Node.js ${nodeVersion}
Go OS/Arch: ${platform}/${goArch[arch] ?? arch}
`
