/** Addresses as etcd writes them: `http://10.0.0.1:2379`, `https://[::1]:2379`, `unix:///run/etcd.sock`. */
import type { ListenAddress } from "../../../services/Settings.ts"
import { parseHostPort } from "../address.ts"

export interface EtcdUrl {
  readonly text: string
  readonly scheme: "http" | "https" | "unix" | "unixs"
  readonly address: ListenAddress
}

export type UrlsResult =
  | { readonly ok: true; readonly urls: ReadonlyArray<EtcdUrl> }
  | { readonly ok: false; readonly reason: string }

const urlsMax = 64

const schemes = ["http", "https", "unix", "unixs"] as const

const parseUrl = (text: string): EtcdUrl | string => {
  const match = /^([a-z]+):\/\/(.*)$/s.exec(text)
  const scheme = schemes.find((known) => known === match?.[1])
  if (match === null || scheme === undefined) return "the scheme must be http, https, unix or unixs"
  const rest = match[2]!
  if (scheme === "unix" || scheme === "unixs") {
    if (rest === "" || rest.includes("\0")) return "the path of a socket file is missing"
    return { text, scheme, address: { host: "", port: 0, path: rest } }
  }
  if (/[/?#]/.test(rest)) return "there must be nothing after host:port"
  const parsed = parseHostPort(rest)
  return parsed.ok ? { text, scheme, address: parsed.address } : parsed.reason
}

/** One or more with commas between them. */
export const parseUrls = (list: string): UrlsResult => {
  const texts = list.split(",").map((text) => text.trim())
  if (texts.length > urlsMax) return { ok: false, reason: `more than ${urlsMax} addresses` }
  const urls: Array<EtcdUrl> = []
  for (const text of texts) {
    const url = parseUrl(text)
    if (typeof url === "string") return { ok: false, reason: `${JSON.stringify(text.slice(0, 120))}: ${url}` }
    // The same twice is once, as in etcd.
    if (!urls.some((earlier) => earlier.text === text)) urls.push(url)
  }
  return { ok: true, urls }
}

export const isSecure = ({ scheme }: EtcdUrl): boolean => scheme === "https" || scheme === "unixs"

/** Is it a TCP address? */
export const isTcp = ({ address }: EtcdUrl): boolean => address.path === undefined
