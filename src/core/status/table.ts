/** `netsy status`: the cluster as a table that a person can read. Pure. */
import type { ArbiterJson, NodeStatusJson, StatusJson } from "./document.ts"

const idOf = (name: string): string => name.split("/")[0]!

export const showBytes = (bytes: number): string => {
  const units = ["B", "KiB", "MiB", "GiB"]
  let value = bytes
  let unit = 0
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024
    unit++
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

export const showMillis = (millis: number): string => {
  if (millis < 1_000) return `${Math.round(millis)} ms`
  const seconds = Math.round(millis / 1_000)
  if (seconds < 120) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  return minutes < 120 ? `${minutes} min ${seconds % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** Columns as wide as their widest cell; the last one is not padded. */
const columns = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const widths: Array<number> = []
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)))
  return rows.map((row) =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]!)))
      .join("  ")
      .trimEnd()
  )
}

const modeOf = ({ mode, voters, required }: ArbiterJson): string => {
  if (mode === "store") return "store (a write is acknowledged when it is in the bucket)"
  const who = voters.map(idOf).join(", ")
  if (required === 0) return `quorum, recovering: ${who} uploads its log before anything is committed`
  return `quorum (the Primary and ${required} of ${voters.length - 1} other voters; voters: ${who})`
}

const primaryOf = (status: StatusJson): string => {
  const { arbiter } = status
  if (arbiter === undefined) return "none yet"
  const id = idOf(arbiter.primary)
  if (arbiter.resigned) return `none (${id} has resigned)`
  const node = status.nodes.find(({ node_id }) => node_id === id)
  if (node === undefined) return `${id} (not registered)`
  if (node.unreachable !== undefined) return `${id} (unreachable)`
  if (node.primary === "active") return node.may_acknowledge === false ? `${id} (may not acknowledge)` : id
  return `${id} (${node.primary ?? "unknown"})`
}

const head = (status: StatusJson): ReadonlyArray<string> => {
  const { arbiter } = status
  const recovered = arbiter?.recovered
  return columns([
    ["Cluster:", `${status.cluster_id}, as ${status.answered_by} sees it`],
    ["Elector:", status.elector === "" ? "not known" : status.elector],
    ["Primary:", primaryOf(status)],
    ["Term:", arbiter === undefined ? "-" : String(arbiter.term)],
    ["Mode:", arbiter === undefined ? "-" : modeOf(arbiter)],
    ...(recovered === undefined
      ? []
      : [["Recovered:", `with possible loss, in term ${recovered.term}, of entries from index ${recovered.index} on`]])
  ])
}

const count = (value: number | undefined): string => (value === undefined ? "-" : String(value))

const roleOf = (node: NodeStatusJson, status: StatusJson): string => {
  const isVoter = status.arbiter?.voters.some((voter) => idOf(voter) === node.node_id) === true
  return `${node.primary ?? "-"}${isVoter ? ", voter" : ""}${node.elector === "leader" ? ", Elector" : ""}`
}

const lagOf = (node: NodeStatusJson): string =>
  node.primary !== "replica" || node.lag_entries === undefined
    ? "-"
    : node.lag_entries === 0 && (node.lag_ms ?? 0) === 0
      ? "none"
      : `${node.lag_entries} (${showMillis(node.lag_ms ?? 0)})`

const nodeTable = (status: StatusJson): ReadonlyArray<string> =>
  columns([
    ["NODE", "HEALTH", "ROLE", "LAST", "COMMITTED", "REVISION", "LAG", "TERM", "VERSION", "CLIENTS"],
    ...status.nodes.map((node) =>
      node.unreachable === undefined
        ? [
            node.node_id,
            node.health ?? "-",
            roleOf(node, status),
            count(node.last_index),
            count(node.commit_index),
            count(node.committed_revision),
            lagOf(node),
            count(node.term),
            node.version ?? "-",
            node.client_address
          ]
        : [node.node_id, "unreachable", "-", "-", "-", "-", "-", "-", "-", node.client_address]
    )
  ])

/** By the Primary, who knows; else by the node that answers. */
const bucket = (status: StatusJson): ReadonlyArray<string> => {
  const node =
    status.nodes.find(({ primary }) => primary === "active") ??
    status.nodes.find(({ node_id }) => node_id === status.answered_by)
  if (node?.stored_index === undefined) return []
  const waiting = Math.max(0, (node.last_index ?? 0) - node.stored_index)
  const parts = [`everything up to index ${node.stored_index} is stored`]
  if (waiting > 0 && node.primary === "active") {
    parts.push(`${waiting} ${waiting === 1 ? "entry waits" : "entries wait"}, ${showBytes(node.buffered_bytes ?? 0)}`)
  }
  parts.push(`last snapshot ${node.last_snapshot_index || "none"}, last chunk ${node.last_chunk_index || "none"}`)
  return ["", `Bucket: ${parts.join("; ")}`]
}

const left = (millis: number | undefined): string =>
  millis === undefined || millis < 0 ? "as long as it takes" : `${showMillis(Math.ceil(millis / 1_000) * 1_000)} more`

const list = (title: string, lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.length === 0 ? [] : ["", title, ...lines.map((line) => `  ${line}`)]

/** Whole lines, without line ends. */
export const statusTable = (status: StatusJson): ReadonlyArray<string> => [
  ...head(status),
  "",
  ...nodeTable(status),
  ...bucket(status),
  ...list(
    "Waiting:",
    status.nodes
      .filter(({ waiting_for }) => waiting_for !== undefined && waiting_for !== "")
      .map((node) => `${node.node_id}: ${node.waiting_for} (${left(node.waiting_ms)})`)
  ),
  ...list(
    "Troubles:",
    status.nodes.flatMap((node) => [
      ...(node.unreachable === undefined ? [] : [`${node.node_id}: does not answer: ${node.unreachable}`]),
      ...(node.troubles ?? []).map((trouble) => `${node.node_id}: ${trouble}`)
    ])
  )
]
