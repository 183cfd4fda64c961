/** The certificate that a node makes for itself with `--auto-tls`: kept in its data directory until it expires. */
import { generateKeyPairSync, randomBytes, sign, X509Certificate } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import { isIP } from "node:net"
import { join } from "node:path"
import { Effect } from "effect"
import { pemOf, selfSigned } from "../../core/identity/selfSigned.ts"
import { CertificateInvalid } from "../../services/Identity.ts"
import { reasonOf } from "../internal/certificates.ts"
import { makeFolder } from "../internal/makeFolder.ts"

export interface OwnPairOptions {
  readonly directory: string
  /** Names and addresses of the ports. */
  readonly hosts: ReadonlyArray<string>
  readonly years: number
  readonly nowMillis: number
}

const yearMillis = 365 * 86_400_000
const hourMillis = 3_600_000
const always = ["localhost", "127.0.0.1", "::1"]

const isUsable = (path: string, nowMillis: number): boolean => {
  try {
    return new X509Certificate(readFileSync(path)).validToDate.getTime() > nowMillis
  } catch {
    return false
  }
}

const addressBytes = (host: string): Uint8Array => {
  if (isIP(host) === 4) return Uint8Array.from(host.split("."), Number)
  // The URL parser writes IPv4 parts as hexadecimal ones.
  const groups = new URL(`http://[${host.replace(/%.*$/, "")}]/`).hostname.slice(1, -1)
  const [left = "", right] = groups.split("::")
  const parse = (part: string) => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16)))
  const [head, tail] = [parse(left), parse(right ?? "")]
  const all = [...head, ...Array.from({ length: 8 - head.length - tail.length }, () => 0), ...tail]
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]))
}

/** Paths of the pair; it is made when there is none that is in date. */
export const ownPair = (
  options: OwnPairOptions
): Effect.Effect<{ readonly cert: string; readonly key: string }, CertificateInvalid> => {
  const { directory, nowMillis, years } = options
  const cert = join(directory, "cert.pem")
  const key = join(directory, "key.pem")
  const make = (): void => {
    if (isUsable(cert, nowMillis)) return
    const hosts = [...new Set([...options.hosts.filter((host) => host !== ""), ...always])]
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
    const certificate = selfSigned({
      publicKey: publicKey.export({ type: "spki", format: "der" }),
      serial: randomBytes(16),
      organization: "etcd",
      // Clocks of others may be a little behind.
      notBeforeMillis: nowMillis - hourMillis,
      notAfterMillis: nowMillis + years * yearMillis,
      dnsNames: hosts.filter((host) => isIP(host) === 0),
      addresses: hosts.filter((host) => isIP(host) !== 0).map(addressBytes),
      sign: (bytes) => sign("sha256", bytes, privateKey)
    })
    makeFolder(directory, 0o700)
    writeFileSync(key, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 })
    writeFileSync(cert, pemOf("CERTIFICATE", certificate), { mode: 0o600 })
  }
  return Effect.try({
    try: () => {
      make()
      return { cert, key }
    },
    catch: (cause) => new CertificateInvalid({ path: cert, reason: reasonOf(cause) })
  })
}
