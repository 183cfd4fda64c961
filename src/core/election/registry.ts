/** `members.json` and `nodes/{node_id}.json` (netsy-1x.md 4.2, 4.3): who belongs to the cluster, under which member id. */

export const membersKey = "members.json"
export const nodeKey = (nodeId: string): string => `nodes/${nodeId}.json`

export interface Members {
  readonly clusterId: string
  /** node id → member id; ids are never given twice. */
  readonly members: ReadonlyMap<string, bigint>
}

/** One node's registration. `incarnation`, `starts` and `run` are ours: Netsy 1.x ignores them. */
export interface Registration {
  readonly nodeId: string
  readonly clientAddress: string
  readonly peerAddress: string
  readonly incarnation: string
  readonly starts: number
  /** Random, of the process that wrote it: whether a write whose answer was lost has landed. "" where it is absent. */
  readonly run: string
}

/** FNV-1a 64 of the UTF-8 bytes: the cluster_id of response headers (netsy-1x.md 9.8). */
export const fnv1a64 = (text: string): bigint => {
  let hash = 0xcbf29ce484222325n
  for (const byte of new TextEncoder().encode(text))
    hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn
  return hash
}

/** Compact JSON with sorted keys, as Go's encoder writes it. */
export const encodeMembers = (value: Members): Uint8Array => {
  const ids = [...value.members].sort(([a], [b]) => (a < b ? -1 : 1)).map(([id, n]) => `${JSON.stringify(id)}:${n}`)
  return new TextEncoder().encode(`{"cluster_id":${JSON.stringify(value.clusterId)},"members":{${ids.join(",")}}}`)
}

export const decodeMembers = (bytes: Uint8Array): Members | string => {
  const o = parseObject(bytes)
  if (typeof o === "string") return o
  const list = o["members"]
  if (typeof list !== "object" || list === null) return "`members` must map node ids to numbers"
  const members = new Map<string, bigint>()
  for (const [id, n] of Object.entries(list as Record<string, unknown>)) {
    if (typeof n !== "number" || !Number.isSafeInteger(n) || n < 1)
      return `member id of ${JSON.stringify(id)} must be a whole number of 1 or more`
    members.set(id, BigInt(n))
  }
  return { clusterId: typeof o["cluster_id"] === "string" ? o["cluster_id"] : "", members }
}

/** The list with ids for all of `nodeIds`: known ones keep theirs, others get the highest + 1. Same object when nothing changes. */
export const withMembers = (value: Members, nodeIds: ReadonlyArray<string>): Members => {
  const missing = nodeIds.filter((id) => !value.members.has(id))
  if (missing.length === 0) return value
  const members = new Map(value.members)
  let highest = 0n
  for (const n of members.values()) if (n > highest) highest = n
  for (const id of missing) members.set(id, ++highest)
  return { ...value, members }
}

export const encodeRegistration = (r: Registration): Uint8Array =>
  new TextEncoder().encode(
    JSON.stringify({
      node_id: r.nodeId,
      client_advertise_address: r.clientAddress,
      peer_advertise_address: r.peerAddress,
      incarnation: r.incarnation,
      starts: r.starts,
      run: r.run
    })
  )

export const decodeRegistration = (bytes: Uint8Array): Registration | string => {
  const o = parseObject(bytes)
  if (typeof o === "string") return o
  const text = (name: string): string => (typeof o[name] === "string" ? (o[name] as string) : "")
  if (text("node_id") === "") return "`node_id` is missing"
  const starts = o["starts"]
  return {
    nodeId: text("node_id"),
    clientAddress: text("client_advertise_address"),
    peerAddress: text("peer_advertise_address"),
    incarnation: text("incarnation"),
    starts: typeof starts === "number" && Number.isSafeInteger(starts) ? starts : 0,
    run: text("run")
  }
}

/**
 * A disk that was put back to an older state keeps its incarnation but forgets promises (design 6.2): its start counter
 * has then been registered before.
 */
export const isOlderDisk = (registered: Registration | undefined, incarnation: string, starts: number): boolean =>
  registered !== undefined && registered.incarnation === incarnation && registered.starts >= starts

const parseObject = (bytes: Uint8Array): Record<string, unknown> | string => {
  try {
    const json: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return typeof json === "object" && json !== null && !Array.isArray(json)
      ? (json as Record<string, unknown>)
      : "not a JSON object"
  } catch (error) {
    return `not JSON: ${error instanceof Error ? error.message : String(error)}`
  }
}
