/**
 * From flags of etcd to `Settings`. What etcd has no flag for comes from NETSY_* variables with the defaults of one
 * node without a file; a flag wins over the variable of the same setting.
 */
import { posix } from "node:path"
import type { EtcdSettings, SettingsShape, StorageSettings } from "../../../services/Settings.ts"
import { formatHostPort } from "../address.ts"
import { resolveApi } from "../api.ts"
import { nodeVariables } from "../fields.ts"
import type { Problem } from "../problem.ts"
import { Reading } from "../reading.ts"
import { resolveCluster, unknownVariables } from "../resolve.ts"
import { resolveStorage } from "../storage.ts"
import { checkFeatureGates } from "./featureGates.ts"
import { FlagReading } from "./flagReading.ts"
import { findFlag } from "./flagTable.ts"
import { type FlagValue, shown } from "./goFlags.ts"
import { resolveLog } from "./log.ts"
import { identifierOf, parseInitialCluster } from "./names.ts"
import { putKeys } from "./netsyKeys.ts"
import { resolveTls, resolveVersions } from "./tls.ts"
import { type EtcdUrl, isSecure, isTcp } from "./urls.ts"

export interface EtcdInput {
  readonly values: ReadonlyMap<string, FlagValue>
  readonly env: Readonly<Record<string, string | undefined>>
  /** Absolute. */
  readonly cwd: string
  readonly exists: (path: string) => boolean
}

export type EtcdResolved =
  | { readonly ok: true; readonly settings: SettingsShape; readonly warnings: ReadonlyArray<string> }
  | { readonly ok: false; readonly problems: ReadonlyArray<Problem>; readonly warnings: ReadonlyArray<string> }

export const resolveEtcd = ({ values, env, cwd, exists }: EtcdInput): EtcdResolved => {
  const flags = new FlagReading(values)
  const reading = new Reading(new Map(), env, true)
  putKeys(flags, reading)
  refuseAndWarn(flags)

  const name = flags.text("name")
  if (name === "") flags.refuse("name", "a name")
  const token = flags.text("initial-cluster-token")
  if (token === "") flags.refuse("initial-cluster-token", "a name")
  flags.choice("initial-cluster-state", ["new", "existing"])
  const clusterId = identifierOf(token)
  reading.put("cluster_id", { kind: "word", text: clusterId, source: "--initial-cluster-token" })

  const dataDirText = flags.text("data-dir")
  const dataDir = posix.resolve(cwd, values.has("data-dir") ? dataDirText : `${name.replaceAll("/", "-")}.etcd`)
  if (dataDirText.includes("\0") || name.includes("\0")) flags.refuse("data-dir", "the path of a directory")
  else if (exists(posix.join(dataDir, "member"))) {
    flags.refuse(
      "data-dir",
      `another directory than ${dataDir}, which holds the data of an etcd server; docs/etcd-mode.md says how to bring it over`
    )
  }

  const etcd = resolvePorts(flags, cwd)
  const members = membersOf(flags, name, etcd.advertisePeerUrls)
  const storage = storageOf(reading, { env, cwd, dataDir, clusterId, members, flags })
  const cluster = resolveCluster(reading, storage.provider)
  const api = resolveApi(reading, cwd)
  const log = resolveLog(flags, cwd)
  const problems = [...flags.problems, ...reading.problems]
  const warnings = [...flags.warnings, ...reading.warnings, ...unknownVariables(env), ...idleVariables(env)]
  if (problems.length > 0) return { ok: false, problems, warnings }
  const settings: SettingsShape = {
    ...cluster,
    ...api,
    nodeId: identifierOf(name),
    dataDir,
    storage,
    log,
    ...placesOf(etcd),
    tls: undefined,
    etcd: { ...etcd, memberName: name, members: [...members.keys()] }
  }
  return { ok: true, settings, warnings }
}

type Ports = Omit<EtcdSettings, "memberName" | "members">

const refuseAndWarn = (flags: FlagReading): void => {
  for (const { name, idle, refused } of flags.known()) {
    const given = flags.given(name)!
    if (idle !== undefined) flags.warnings.push(`${given.source} has no effect: ${idle}`)
    if (refused !== undefined && given.text !== "" && given.text !== findFlag(name)!.spec.fallback) {
      flags.refuse(name, `nothing: ${refused}`)
    }
  }
  checkFeatureGates(flags)
}

const resolvePorts = (flags: FlagReading, cwd: string): Ports => {
  const listenClient = flags.urls("listen-client-urls")
  const listenClientHttp = flags.urls("listen-client-http-urls")
  const listenPeer = flags.urls("listen-peer-urls")
  const listenMetrics = flags.urls("listen-metrics-urls")
  for (const name of ["listen-client-urls", "listen-peer-urls"]) {
    if (flags.text(name).trim() === "") flags.refuse(name, "http://ADDRESS:PORT, with commas between several")
  }
  if (flags.given("listen-client-urls") !== undefined && flags.given("advertise-client-urls") === undefined) {
    flags.refuse("advertise-client-urls", "given together with --listen-client-urls: where clients reach this member")
  }
  refuseTwice(flags, { listenClient, listenClientHttp, listenPeer, listenMetrics })
  const streams = flags.number("max-concurrent-streams")
  if (streams < 1 || streams > streamsMax) flags.refuse("max-concurrent-streams", `1 to ${streamsMax}`)
  const listening = (urls: ReadonlyArray<EtcdUrl>) =>
    urls.map((url) => ({ text: url.text, secure: isSecure(url), address: url.address }))
  return {
    listenClient: listening(listenClient),
    listenClientHttp: listening(listenClientHttp),
    listenPeer: listening(listenPeer),
    listenMetrics: listening(listenMetrics),
    advertiseClientUrls: advertised(flags, "advertise-client-urls"),
    advertisePeerUrls: advertised(flags, "initial-advertise-peer-urls"),
    clientTls: resolveTls(flags, cwd, "client", [...listenClient, ...listenClientHttp], listenMetrics),
    peerTls: resolveTls(flags, cwd, "peer", listenPeer, []),
    ...resolveVersions(flags),
    maxConcurrentStreams: streams,
    keepAlive: {
      intervalMillis: Math.max(0, flags.millis("grpc-keepalive-interval")),
      timeoutMillis: Math.max(0, flags.millis("grpc-keepalive-timeout"))
    },
    reusePort: flags.isOn("socket-reuse-port")
  }
}

const streamsMax = 2 ** 32 - 1

const advertised = (flags: FlagReading, name: string): ReadonlyArray<string> => {
  const urls = flags.urls(name)
  const empty = urls.find((url) => isTcp(url) && url.address.host === "")
  if (empty !== undefined) flags.refuse(name, `a host that others can dial, unlike that of ${empty.text}`)
  return urls.map(({ text }) => text)
}

/** Two ports in one place cannot both be opened. */
const refuseTwice = (flags: FlagReading, groups: Readonly<Record<string, ReadonlyArray<EtcdUrl>>>): void => {
  const flagOf: Readonly<Record<string, string>> = {
    listenClient: "listen-client-urls",
    listenClientHttp: "listen-client-http-urls",
    listenPeer: "listen-peer-urls",
    listenMetrics: "listen-metrics-urls"
  }
  const seen = new Map<string, string>()
  for (const [group, urls] of Object.entries(groups)) {
    for (const { address, text } of urls) {
      const place = address.path ?? formatHostPort(address)
      const flag = flagOf[group]!
      const earlier = seen.get(place)
      if (earlier !== undefined && address.port !== 0) {
        flags.refuse(flag, `another address than ${text}, which --${earlier} has too`)
      }
      seen.set(place, flag)
    }
  }
}

const membersOf = (
  flags: FlagReading,
  name: string,
  peerUrls: ReadonlyArray<string>
): ReadonlyMap<string, ReadonlyArray<string>> => {
  const own = new Map([[name, peerUrls]])
  if (flags.given("initial-cluster") === undefined) return own
  const parsed = parseInitialCluster(flags.text("initial-cluster"))
  if (!parsed.ok) {
    flags.refuse("initial-cluster", `name=url, with commas between members (${parsed.reason})`)
    return own
  }
  const urls = parsed.members.get(name)
  if (urls === undefined) flags.refuse("initial-cluster", `members, this one (--name ${shown(name)}) among them`)
  else if (urls.some((url) => !peerUrls.includes(url))) {
    flags.warnings.push(
      `--initial-cluster says that ${name} is at ${urls.join(" ")}, --initial-advertise-peer-urls says ${peerUrls.join(" ")}`
    )
  }
  return parsed.members
}

interface StoragePlace {
  readonly env: EtcdInput["env"]
  readonly cwd: string
  readonly dataDir: string
  readonly clusterId: string
  readonly members: ReadonlyMap<string, unknown>
  readonly flags: FlagReading
}

/** A store that several members share has the cluster's name as prefix; a member alone keeps it in its own directory. */
const storageOf = (reading: Reading, place: StoragePlace): StorageSettings => {
  const { env, cwd, dataDir, clusterId, members, flags } = place
  const text = env["NETSY_STORAGE"]
  const word = text === undefined || text === "" ? undefined : { text, source: "NETSY_STORAGE" }
  const named = (["storage.provider", "storage.bucket_name", "storage.path"] as const).some(
    (key) => reading.given(key) !== undefined
  )
  if (word === undefined && !named) {
    if (members.size > 1) {
      flags.refuse(
        "initial-cluster",
        `one member, or NETSY_STORAGE for the store that the ${members.size} members share, for example s3://BUCKET`
      )
    }
    return resolveStorage(reading, { text: `dir:${posix.join(dataDir, "object-store")}`, source: "--data-dir" }, cwd)
  }
  const found = resolveStorage(reading, word, cwd)
  if (found.provider === "directory") return { ...found, path: posix.join(found.path, clusterId) }
  return { ...found, keyPrefix: `${found.keyPrefix}${clusterId}/` }
}

/** What the settings of every mode have, from the first address of each kind. */
const placesOf = (etcd: Ports): Pick<SettingsShape, "bind" | "advertise"> => {
  const bindOf = (urls: Ports["listenClient"]) => ({
    host: urls[0]?.address.host ?? "127.0.0.1",
    port: urls[0]?.address.port ?? 0
  })
  const dialled = (urls: ReadonlyArray<string>): string => (urls[0] ?? "").replace(/^[a-z]+:\/\//, "")
  const peer = dialled(etcd.advertisePeerUrls)
  return {
    bind: {
      client: bindOf(etcd.listenClient),
      peer: bindOf(etcd.listenPeer),
      election: bindOf(etcd.listenPeer),
      health: bindOf(etcd.listenMetrics)
    },
    advertise: { client: dialled(etcd.advertiseClientUrls), peer, election: peer }
  }
}

/** Variables of a Netsy node that etcd's flags replace. */
const idleVariables = (env: EtcdInput["env"]): ReadonlyArray<string> =>
  nodeVariables
    .filter((name) => name !== "NETSY_STORAGE" && (env[name] ?? "") !== "")
    .map((name) => `${name} has no effect: the flags of etcd say it`)
