/** Certificates, versions and suites that the flags ask for, and whether they fit the addresses. */
import { posix } from "node:path"
import type { EtcdSettings, EtcdTlsSettings } from "../../../services/Settings.ts"
import { parseCipherSuites } from "./cipherSuites.ts"
import type { FlagReading } from "./flagReading.ts"
import { type EtcdUrl, isSecure } from "./urls.ts"

type Versions = Pick<EtcdSettings, "tlsMinVersion" | "tlsMaxVersion" | "cipherSuites" | "selfSignedYears">

const versions = { "TLS1.2": "TLSv1.2", "TLS1.3": "TLSv1.3" } as const

const selfSignedYearsMax = 100

/** Undefined: none of the addresses is secure. `others`: addresses that use it too and are usually plain. */
export const resolveTls = (
  flags: FlagReading,
  cwd: string,
  side: "client" | "peer",
  urls: ReadonlyArray<EtcdUrl>,
  others: ReadonlyArray<EtcdUrl>
): EtcdTlsSettings | undefined => {
  const prefix = side === "client" ? "" : "peer-"
  const named = side === "client" ? "client-" : "peer-"
  const path = (flag: string): string | undefined => {
    const text = flags.text(flag)
    if (text === "") return undefined
    if (!text.includes("\0")) return posix.resolve(cwd, text)
    flags.refuse(flag, "the path of a file")
    return undefined
  }
  const pair = (certFlag: string, keyFlag: string): { readonly cert: string; readonly key: string } | undefined => {
    const cert = path(certFlag)
    const key = path(keyFlag)
    if (cert !== undefined && key !== undefined) return { cert, key }
    if (cert !== undefined || key !== undefined) {
      const missing = cert === undefined ? certFlag : keyFlag
      flags.refuse(missing, `the path of a file, because --${cert === undefined ? keyFlag : certFlag} is given`)
    }
    return undefined
  }
  const files = pair(`${prefix}cert-file`, `${prefix}key-file`)
  const clientFiles = side === "peer" ? pair("peer-client-cert-file", "peer-client-key-file") : undefined
  const auto = flags.isOn(`${prefix}auto-tls`)
  const trustedCaFile = path(`${prefix}trusted-ca-file`)
  const certAuth = flags.isOn(`${prefix}client-cert-auth`)
  const plain = urls.find((url) => !isSecure(url))
  const secure = [...urls, ...others].find(isSecure)
  if (plain !== undefined && (files !== undefined || certAuth || auto)) {
    flags.warnings.push(`${plain.text} is plain text although certificates are given; they do not protect it`)
  }
  if (secure === undefined) return undefined
  if (files !== undefined && auto) flags.warnings.push(`--${prefix}auto-tls has no effect: certificates are given`)
  if (files === undefined && !auto) {
    flags.refuse(`${prefix}cert-file`, `the PEM file of a certificate (with --${prefix}key-file) for ${secure.text}`)
  }
  // As in etcd a CA alone asks for certificates too.
  const clientCertAuth = certAuth || trustedCaFile !== undefined
  if (certAuth && trustedCaFile === undefined) {
    flags.refuse(`${prefix}trusted-ca-file`, `the PEM file of a CA, because --${prefix}client-cert-auth is on`)
  }
  const allowedCommonNames = side === "peer" ? flags.list("peer-cert-allowed-cn") : []
  const allowedHostnames = flags.list(`${named}cert-allowed-hostname`)
  if (allowedCommonNames.length > 0 && allowedHostnames.length > 0) {
    flags.refuse("peer-cert-allowed-cn", "not together with --peer-cert-allowed-hostname")
  }
  return {
    files,
    clientFiles,
    trustedCaFile,
    clientCertAuth,
    crlFile: path(`${named}crl-file`),
    allowedCommonNames,
    allowedHostnames
  }
}

export const resolveVersions = (flags: FlagReading): Versions => {
  const version = (flag: string, fallback: "TLS1.2" | "TLS1.3") => {
    const text = flags.text(flag) || fallback
    if (Object.hasOwn(versions, text)) return versions[text as keyof typeof versions]
    flags.refuse(flag, "TLS1.2 or TLS1.3")
    return versions[fallback]
  }
  const tlsMinVersion = version("tls-min-version", "TLS1.2")
  const tlsMaxVersion = version("tls-max-version", "TLS1.3")
  if (tlsMinVersion > tlsMaxVersion) flags.refuse("tls-min-version", "at most --tls-max-version")
  const parsed = parseCipherSuites(flags.list("cipher-suites"))
  if (!parsed.ok) flags.refuse("cipher-suites", `suites in Go's names (${parsed.reason})`)
  else {
    flags.warnings.push(...parsed.warnings)
    if (tlsMinVersion === "TLSv1.3" && flags.list("cipher-suites").length > 0) {
      flags.refuse("cipher-suites", "nothing where TLS 1.3 is the oldest version: its suites cannot be chosen")
    }
  }
  const years = flags.number("self-signed-cert-validity")
  if (years < 1 || years > selfSignedYearsMax)
    flags.refuse("self-signed-cert-validity", `1 to ${selfSignedYearsMax} years`)
  return { tlsMinVersion, tlsMaxVersion, cipherSuites: parsed.ok ? parsed.openssl : [], selfSignedYears: years }
}
