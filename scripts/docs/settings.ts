/** The tables of docs/configuration.md and docs/etcd-mode.md, from the descriptions that the program itself reads. */
import { variableOf } from "../../src/core/config/fields.ts"
import { nodeFlagTable, type NodeFlagSpec } from "../../src/core/config/flags.ts"
import { type FlagSpec, flagTable } from "../../src/core/config/etcd/flagTable.ts"
import { flagsOfKeys } from "../../src/core/config/etcd/netsyKeys.ts"
import { type NodeVariableSpec, nodeVariableTable } from "../../src/core/config/nodeVariables.ts"
import type { DurationSetting, Setting } from "../../src/core/config/settingKinds.ts"
import { type FileKey, groupTable, settingTable } from "../../src/core/config/settingTable.ts"
import { code, table } from "./markdown.ts"

const settings: ReadonlyArray<Setting & { readonly key: FileKey }> = settingTable

const typeOf = (setting: Setting): string => {
  if (setting.type === "integer") return `number (${setting.unit})`
  if (setting.type === "switch") return "true or false"
  if (setting.type === "either") return "duration or number"
  return setting.type === "choice" ? "text" : setting.type
}

const defaultOf = (setting: Setting): string => {
  if ("usually" in setting && setting.usually !== undefined) return setting.usually
  if ("fallback" in setting && setting.fallback !== undefined) {
    return setting.fallback === "" ? "empty" : code(String(setting.fallback))
  }
  return setting.also?.startsWith("needed") === true ? "" : "**needed**"
}

const durationBounds = ({ bounds }: DurationSetting): string => {
  if ("zero" in bounds) return `0 or negative: ${bounds.zero}`
  if ("above" in bounds) return `> ${bounds.above}`
  if ("wholeSecondsMin" in bounds) return `whole seconds, ≥ ${bounds.wholeSecondsMin}`
  return bounds.max === undefined ? `≥ ${bounds.min}` : `${bounds.min} to ${bounds.max}`
}

const boundsOf = (setting: Setting): string => {
  const parts: Array<string> = []
  if (setting.type === "choice") parts.push(setting.allowed.map(code).join(", "))
  if (setting.type === "duration") parts.push(durationBounds(setting))
  if (setting.type === "integer") {
    const { max, min, zeroIsFallback } = setting
    if (min !== undefined && max !== undefined) parts.push(`${min} to ${max}`)
    else if (min !== undefined) parts.push(`≥ ${min}`)
    else if (max !== undefined) parts.push(`≤ ${max}`)
    if (zeroIsFallback === true) parts.push(`0: ${setting.fallback}`)
  }
  if (setting.also !== undefined) parts.push(setting.also)
  return parts.join("; ")
}

const flagOf = new Map(flagsOfKeys.map(([flag, key]) => [key, flag]))

const row = (setting: Setting & { readonly key: FileKey }): ReadonlyArray<string> => {
  const flag = flagOf.get(setting.key)
  return [
    `${code(setting.key)}<br>${code(variableOf(setting.key))}${flag === undefined ? "" : `<br>etcd: ${code(`--${flag}`)}`}`,
    typeOf(setting),
    defaultOf(setting),
    boundsOf(setting),
    setting.about
  ]
}

const head = ["Key, variable, flag of `netsy etcd`", "Type", "Default", "Allowed", "Meaning"]

const groupOf = (key: string): string => key.slice(0, Math.max(0, key.lastIndexOf(".")))

export const fileKeyTables = (): string => {
  const whole = table(head, settings.filter(({ key }) => groupOf(key) === "").map(row))
  const groups = Object.entries(groupTable).map(
    ([group, about]) =>
      `### ${code(group)}: ${about}\n\n${table(head, settings.filter(({ key }) => groupOf(key) === group).map(row))}`
  )
  return [whole, ...groups].join("\n\n")
}

export const aloneTable = (): string =>
  table(
    ["Setting", "Default in this mode"],
    [
      ...settings.flatMap((setting) =>
        "alone" in setting && setting.alone !== undefined ? [[code(setting.key), code(String(setting.alone))]] : []
      ),
      [code("NETSY_NODE_ID"), code("node-1")],
      [`${code("NETSY_BIND_CLIENT")} and the other three`, "the usual ports on 127.0.0.1"],
      [
        code("NETSY_DATA_DIR"),
        "`PATH/.node` in a directory store (names with a leading dot are invisible to it), `./netsy-data` otherwise"
      ]
    ]
  )

export const nodeVariablesTable = (): string =>
  table(
    ["Variable", "Default", "Meaning"],
    nodeVariableTable.map(({ about, fallback, name, required }: NodeVariableSpec) => [
      code(name),
      required === true ? "**needed**" : fallback.includes(" ") || fallback === "" ? fallback : code(fallback),
      about
    ])
  )

export const nodeFlagsTable = (): string =>
  table(
    ["Flag", "Meaning"],
    nodeFlagTable.map((flag: NodeFlagSpec) => [
      `${flag.short === undefined ? "" : `${code(`-${flag.short}`)}, `}${code(`--${flag.name}${flag.value === undefined ? "" : ` ${flag.value}`}`)}`,
      flag.about
    ])
  )

const etcdFlag = ({ about, fallback, idle, name, refused }: FlagSpec): ReadonlyArray<string> => [
  code(`--${name}`),
  fallback === "" ? "" : code(fallback),
  refused !== undefined ? `refused: ${refused}` : idle !== undefined ? `no effect: ${idle}` : about
]

export const etcdFlagsTable = (): string => table(["Flag", "Default", "Here"], flagTable.map(etcdFlag))
