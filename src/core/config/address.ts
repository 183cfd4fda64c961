/** `host:port` texts as Go's `net` package reads them: `:2378`, `127.0.0.1:2378`, `[::1]:2378`, `node-1.example:2378`. */
import type { HostPort } from "../../services/Settings.ts"

export type AddressResult =
  | { readonly ok: true; readonly address: HostPort }
  | { readonly ok: false; readonly reason: string }

const refused = (reason: string): AddressResult => ({ ok: false, reason })

const isIpv4 = (host: string): boolean =>
  /^\d{1,3}(\.\d{1,3}){3}$/.test(host) && host.split(".").every((octet) => Number(octet) <= 255)

const withoutZone = (host: string): string => host.replace(/%[A-Za-z0-9_.-]+$/, "")

const isIpv6 = (host: string): boolean => {
  const bare = withoutZone(host)
  return /^[0-9A-Fa-f:.]+$/.test(bare) && bare.includes(":") && URL.canParse(`http://[${bare}]/`)
}

const isHostName = (host: string): boolean =>
  host.length <= 253 && /^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?$/.test(host) && !/^[0-9.]+$/.test(host)

export const parseHostPort = (text: string): AddressResult => {
  const colon = text.lastIndexOf(":")
  if (colon < 0) return refused("the port is missing")
  const portText = text.slice(colon + 1)
  if (!/^\d{1,5}$/.test(portText) || Number(portText) > 65_535) return refused("the port is not a number up to 65535")
  const port = Number(portText)
  const hostText = text.slice(0, colon)
  if (hostText.startsWith("[")) {
    if (!hostText.endsWith("]")) return refused("the closing bracket is missing")
    const host = hostText.slice(1, -1)
    return isIpv6(host) ? { ok: true, address: { host, port } } : refused("not an IPv6 address between the brackets")
  }
  if (hostText.includes(":")) return refused("an IPv6 address needs brackets, for example [::1]:2378")
  if (hostText !== "" && !isIpv4(hostText) && !isHostName(hostText)) {
    return refused("not an IP address and not a host name")
  }
  return { ok: true, address: { host: hostText, port } }
}

export const formatHostPort = ({ host, port }: HostPort): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`

/** All interfaces: nobody can dial this address as it is written. */
export const isWildcard = (host: string): boolean =>
  host === "" || host === "0.0.0.0" || (isIpv6(host) && new URL(`http://[${withoutZone(host)}]/`).hostname === "[::]")

/** Never reachable from another machine. */
export const isLoopback = (host: string): boolean => {
  if (host.toLowerCase() === "localhost") return true
  if (isIpv4(host)) return host.startsWith("127.")
  if (!isIpv6(host)) return false
  const canonical = new URL(`http://[${withoutZone(host)}]/`).hostname
  return canonical === "[::1]" || /^\[::ffff:7f[0-9a-f]{2}:/.test(canonical)
}

/** Both cannot be listened on at the same time. */
export const collide = (a: HostPort, b: HostPort): boolean =>
  a.port === b.port && a.port !== 0 && (a.host === b.host || isWildcard(a.host) || isWildcard(b.host))
