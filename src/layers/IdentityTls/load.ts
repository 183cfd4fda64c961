/** Reads the five certificate files and makes the checks of netsy-1x.md 13.3. Changes nothing, keeps nothing. */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto"
import { open } from "node:fs/promises"
import { isIP } from "node:net"
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls"
import { Effect } from "effect"
import { parseHostPort } from "../../core/config/address.ts"
import { identityOf } from "../../core/identity/identity.ts"
import { CertificateInvalid } from "../../services/Identity.ts"
import type { SettingsShape, TlsSettings } from "../../services/Settings.ts"

const fileBytesMax = 1 << 20

export interface Loaded {
  readonly files: CertificateFiles
  readonly serverOptions: SecureContextOptions
  readonly clientOptions: SecureContextOptions
  readonly serverContext: SecureContext
  /** The certificate that expires first. */
  readonly expires: { readonly path: string; readonly atMillis: number }
}

export type CertificateFiles = Readonly<Record<keyof TlsSettings, Buffer>>

const names = ["caCert", "serverCert", "serverKey", "clientCert", "clientKey"] as const

const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

const readBounded = (path: string): Effect.Effect<Buffer, CertificateInvalid> =>
  Effect.tryPromise({
    try: async () => {
      await using file = await open(path)
      const { size } = await file.stat()
      if (size > fileBytesMax) throw new Error(`larger than ${fileBytesMax} bytes`)
      return await file.readFile()
    },
    catch: (cause) => new CertificateInvalid({ path, reason: reasonOf(cause) })
  })

export const readFiles = (tls: TlsSettings): Effect.Effect<CertificateFiles, CertificateInvalid> =>
  Effect.all({
    caCert: readBounded(tls.caCert),
    serverCert: readBounded(tls.serverCert),
    serverKey: readBounded(tls.serverKey),
    clientCert: readBounded(tls.clientCert),
    clientKey: readBounded(tls.clientKey)
  })

export const sameFiles = (a: CertificateFiles, b: CertificateFiles): boolean =>
  names.every((name) => a[name].equals(b[name]))

/** Throws `CertificateInvalid`. */
export const check = (
  settings: SettingsShape,
  tls: TlsSettings,
  files: CertificateFiles,
  nowMillis: number
): Loaded => {
  checkCa(tls.caCert, files.caCert, nowMillis)
  const server = checkPair(tls.serverCert, files.serverCert, tls.serverKey, files.serverKey, settings, nowMillis)
  const client = checkPair(tls.clientCert, files.clientCert, tls.clientKey, files.clientKey, settings, nowMillis)
  checkHosts(tls.serverCert, server, settings.advertise)

  const common = { ca: files.caCert, minVersion: "TLSv1.3" as const }
  const serverOptions = { ...common, cert: files.serverCert, key: files.serverKey }
  const clientOptions = { ...common, cert: files.clientCert, key: files.clientKey }
  const serverContext = orInvalid(tls.serverCert, () => createSecureContext(serverOptions))
  orInvalid(tls.clientCert, () => createSecureContext(clientOptions))
  const serverEnd = server.validToDate.getTime()
  const clientEnd = client.validToDate.getTime()
  return {
    files,
    serverOptions,
    clientOptions,
    serverContext,
    expires:
      serverEnd <= clientEnd
        ? { path: tls.serverCert, atMillis: serverEnd }
        : { path: tls.clientCert, atMillis: clientEnd }
  }
}

const refuse = (path: string, reason: string): never => {
  throw new CertificateInvalid({ path, reason })
}

const orInvalid = <A>(path: string, make: () => A): A => {
  try {
    return make()
  } catch (cause) {
    return refuse(path, reasonOf(cause))
  }
}

const pemBlock = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

const parseCertificate = (path: string, pem: string | Buffer): X509Certificate => {
  try {
    return new X509Certificate(pem)
  } catch (cause) {
    return refuse(path, `not a certificate in PEM: ${reasonOf(cause)}`)
  }
}

/** Undefined: valid now. */
const outOfDate = (certificate: X509Certificate, nowMillis: number): string | undefined => {
  if (certificate.validToDate.getTime() < nowMillis) return `expired on ${certificate.validTo}`
  return certificate.validFromDate.getTime() > nowMillis ? `not valid before ${certificate.validFrom}` : undefined
}

/** A bundle may hold old CAs as long as one is in date: that is how a CA is replaced. */
const checkCa = (path: string, pem: Buffer, nowMillis: number): void => {
  const blocks = pem.toString("latin1").match(pemBlock) ?? []
  if (blocks.length === 0) refuse(path, "holds no certificate in PEM")
  const reasons = blocks.map((block) => outOfDate(parseCertificate(path, block), nowMillis))
  if (reasons.every((reason) => reason !== undefined)) refuse(path, reasons[0]!)
}

const parseKey = (path: string, pem: Buffer): KeyObject => {
  try {
    return createPrivateKey(pem)
  } catch (cause) {
    return refuse(path, `not a private key in PEM without a passphrase: ${reasonOf(cause)}`)
  }
}

const checkPair = (
  certPath: string,
  cert: Buffer,
  keyPath: string,
  key: Buffer,
  settings: SettingsShape,
  nowMillis: number
): X509Certificate => {
  const certificate = parseCertificate(certPath, cert)
  const late = outOfDate(certificate, nowMillis)
  if (late !== undefined) refuse(certPath, late)
  if (!certificate.checkPrivateKey(parseKey(keyPath, key))) refuse(keyPath, `does not fit the certificate ${certPath}`)
  const identity = identityOf(certificate.subjectAltName, settings.clusterId, "peer")
  if (!identity.ok) return refuse(certPath, identity.reason)
  if (identity.name !== settings.nodeId) {
    refuse(
      certPath,
      `is for node ${identity.name}; NETSY_NODE_ID is ${settings.nodeId} (needed: netsy://${settings.clusterId}/peer/${settings.nodeId})`
    )
  }
  return certificate
}

const checkHosts = (path: string, certificate: X509Certificate, advertise: SettingsShape["advertise"]): void => {
  for (const [listener, address] of Object.entries(advertise)) {
    const parsed = parseHostPort(address)
    if (!parsed.ok || parsed.address.host === "") continue
    const { host } = parsed.address
    const covered = isIP(host) === 0 ? certificate.checkHost(host, { subject: "never" }) : certificate.checkIP(host)
    if (covered === undefined) {
      refuse(
        path,
        `its names do not cover ${host} (NETSY_ADVERTISE_${listener.toUpperCase()}); it has ${certificate.subjectAltName ?? "none"}`
      )
    }
  }
}
