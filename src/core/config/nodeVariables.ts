/**
 * The variables of one node, which the cluster file does not have: default and meaning. What a node accepts, what its
 * errors say and docs/configuration.md come from here. Source: netsy-1x.md 12.3.
 */
import { identifierRule } from "./identifier.ts"

export interface NodeVariableSpec {
  readonly name: string
  /** Empty: none. */
  readonly fallback: string
  readonly about: string
  /** The node does not start without it, unless it is one node without a file. */
  readonly required?: true
}

const anAddress = (port: string): string => `host:port under which others reach this node's ${port} port`
const asBound = "the bind address, if that names an interface"

export const nodeVariableTable = [
  { name: "NETSY_CONFIG", fallback: "", about: "path of the cluster file" },
  { name: "NETSY_STORAGE", fallback: "", about: "the store in one word, as `--storage`" },
  {
    name: "NETSY_NODE_ID",
    fallback: "",
    required: true,
    about: `the node's name: ${identifierRule}`
  },
  { name: "NETSY_DATA_DIR", fallback: "/var/lib/netsy", about: "directory of the local database, on a local disk" },
  { name: "NETSY_DEBUG", fallback: "false", about: "only the exact text `true` turns the debug log on" },
  { name: "NETSY_BIND_CLIENT", fallback: ":2378", about: "where etcd clients are served" },
  { name: "NETSY_BIND_PEER", fallback: ":2381", about: "where other nodes are served" },
  { name: "NETSY_BIND_ELECTION", fallback: ":8443", about: "where the Elector's health is served over HTTPS" },
  { name: "NETSY_BIND_HEALTH", fallback: ":8080", about: "where health and metrics are served over plain HTTP" },
  { name: "NETSY_ADVERTISE_CLIENT", fallback: asBound, about: anAddress("client") },
  { name: "NETSY_ADVERTISE_PEER", fallback: asBound, about: anAddress("peer") },
  { name: "NETSY_ADVERTISE_ELECTION", fallback: asBound, about: anAddress("election") },
  { name: "NETSY_TLS_CA_CERT", fallback: "", required: true, about: "the PEM file of the cluster's CA" },
  {
    name: "NETSY_TLS_SERVER_CERT",
    fallback: "",
    required: true,
    about: "the PEM file of this node's server certificate"
  },
  { name: "NETSY_TLS_SERVER_KEY", fallback: "", required: true, about: "the PEM file of the server certificate's key" },
  {
    name: "NETSY_TLS_CLIENT_CERT",
    fallback: "",
    required: true,
    about: "the PEM file of this node's client certificate"
  },
  { name: "NETSY_TLS_CLIENT_KEY", fallback: "", required: true, about: "the PEM file of the client certificate's key" }
] as const satisfies ReadonlyArray<NodeVariableSpec>

export type NodeVariable = (typeof nodeVariableTable)[number]["name"]

const byName: ReadonlyMap<string, NodeVariableSpec> = new Map(nodeVariableTable.map((spec) => [spec.name, spec]))

export const variableSpec = (name: NodeVariable): NodeVariableSpec => byName.get(name)!
