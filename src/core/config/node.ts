/** What only this node knows: its id, its directory, where it listens, how it is reached, its certificates. */
import { posix } from "node:path"
import type { HostPort, SettingsShape, TlsSettings } from "../../services/Settings.ts"
import { collide, formatHostPort, isLoopback, isWildcard, parseHostPort } from "./address.ts"
import { nodeVariables } from "./fields.ts"
import { identifierRule, isIdentifier } from "./identifier.ts"
import { type NodeVariable, variableSpec } from "./nodeVariables.ts"
import type { Problem } from "./problem.ts"

export interface NodeInput {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly insecure: boolean
  /** One node without a file: everything has a default. */
  readonly embedded: boolean
  /** False for `--validate`: what a real start would also need may be missing. */
  readonly complete: boolean
  readonly dataDirFallback: string
}

export type NodeSettings = Pick<SettingsShape, "nodeId" | "dataDir" | "bind" | "advertise" | "tls">

type Listener = keyof SettingsShape["bind"]
const listeners = ["client", "peer", "election", "health"] as const satisfies ReadonlyArray<Listener>

const variable = <Purpose extends "BIND" | "ADVERTISE", Name extends string>(purpose: Purpose, listener: Name) =>
  `NETSY_${purpose}_${listener.toUpperCase() as Uppercase<Name>}` as const

const usualPort = (listener: Listener): number => Number(variableSpec(variable("BIND", listener)).fallback.slice(1))

const bindForms = 'host:port such as ":2378" (all interfaces), "127.0.0.1:2378" or "[::1]:2378"'

export const resolveNode = (
  input: NodeInput
): { readonly node: NodeSettings; readonly problems: ReadonlyArray<Problem> } => {
  const problems: Array<Problem> = []
  const { env, cwd } = input

  const nodeId = env["NETSY_NODE_ID"] ?? (input.embedded ? "node-1" : "")
  if (!isIdentifier(nodeId)) {
    const value = env["NETSY_NODE_ID"]
    problems.push({
      key: "NETSY_NODE_ID",
      value: value === undefined ? undefined : JSON.stringify(value),
      allowed: identifierRule
    })
  }
  const dataDirText = env["NETSY_DATA_DIR"] ?? input.dataDirFallback
  if (dataDirText === "" || dataDirText.includes("\0")) {
    problems.push({
      key: "NETSY_DATA_DIR",
      value: JSON.stringify(dataDirText),
      allowed: "the path of a directory on a local disk"
    })
  }

  const bind = resolveBinds(input, problems)
  return {
    node: {
      nodeId,
      dataDir: posix.resolve(cwd, dataDirText.replaceAll("\0", "")),
      bind,
      advertise: {
        client: advertised(input, "client", bind.client, problems),
        peer: advertised(input, "peer", bind.peer, problems),
        election: advertised(input, "election", bind.election, problems)
      },
      tls: input.insecure ? undefined : resolveTls(input, problems)
    },
    problems
  }
}

const resolveBinds = (input: NodeInput, problems: Array<Problem>): SettingsShape["bind"] => {
  const one = (listener: Listener): HostPort => {
    const name = variable("BIND", listener)
    const fallback = { host: input.embedded || input.insecure ? "127.0.0.1" : "", port: usualPort(listener) }
    const text = input.env[name]
    if (text === undefined) return fallback
    const parsed = parseHostPort(text)
    if (!parsed.ok) {
      problems.push({ key: name, value: JSON.stringify(text), allowed: `${bindForms} (${parsed.reason})` })
      return fallback
    }
    if (input.insecure && !isLoopback(parsed.address.host)) {
      problems.push({
        key: name,
        value: JSON.stringify(text),
        allowed:
          "with --insecure only a loopback address (127.0.0.1, [::1], localhost): without TLS anybody who can " +
          "reach this port could read and change everything"
      })
      return fallback
    }
    return parsed.address
  }
  const bind = { client: one("client"), peer: one("peer"), election: one("election"), health: one("health") }
  listeners.forEach((listener, i) => {
    const other = listeners.slice(0, i).find((earlier) => collide(bind[earlier], bind[listener]))
    if (other === undefined) return
    problems.push({
      key: variable("BIND", listener),
      value: formatHostPort(bind[listener]),
      allowed: `another port than ${variable("BIND", other)} (${formatHostPort(bind[other])})`
    })
  })
  return bind
}

const advertised = (
  input: NodeInput,
  listener: "client" | "peer" | "election",
  bind: HostPort,
  problems: Array<Problem>
): string => {
  const name = variable("ADVERTISE", listener)
  const text = input.env[name]
  if (text === undefined || (text === "" && (input.embedded || input.insecure))) {
    if (!isWildcard(bind.host)) return formatHostPort(bind)
    if (input.complete) {
      problems.push({
        key: name,
        value: undefined,
        allowed: variableSpec(name).about
      })
    }
    return ""
  }
  const parsed = parseHostPort(text)
  if (!parsed.ok || isWildcard(parsed.address.host) || parsed.address.port === 0) {
    const reason = parsed.ok ? "others cannot dial this address" : parsed.reason
    problems.push({
      key: name,
      value: JSON.stringify(text),
      allowed: `${variableSpec(name).about} (${reason})`
    })
    return ""
  }
  return text
}

const tlsFiles = [
  ["NETSY_TLS_CA_CERT", "caCert"],
  ["NETSY_TLS_SERVER_CERT", "serverCert"],
  ["NETSY_TLS_SERVER_KEY", "serverKey"],
  ["NETSY_TLS_CLIENT_CERT", "clientCert"],
  ["NETSY_TLS_CLIENT_KEY", "clientKey"]
] as const satisfies ReadonlyArray<readonly [NodeVariable, keyof TlsSettings]>

const resolveTls = (input: NodeInput, problems: Array<Problem>): TlsSettings => {
  const tls = { caCert: "", serverCert: "", serverKey: "", clientCert: "", clientKey: "" }
  for (const [variable, name] of tlsFiles) {
    const text = input.env[variable]
    if (text === undefined || text === "") {
      const way = input.embedded ? " (or --insecure for plain text on loopback)" : ""
      if (input.complete)
        problems.push({ key: variable, value: undefined, allowed: `${variableSpec(variable).about}${way}` })
    } else tls[name] = posix.resolve(input.cwd, text.replaceAll("\0", ""))
  }
  return tls
}

export const ignoredTlsVariables = (env: NodeInput["env"]): ReadonlyArray<string> =>
  nodeVariables.filter((name) => name.startsWith("NETSY_TLS_") && (env[name] ?? "") !== "")
