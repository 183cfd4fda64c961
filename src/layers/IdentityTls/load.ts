/** Reads the five certificate files and makes the checks of netsy-1x.md 13.3. Changes nothing, keeps nothing. */
import type { X509Certificate } from "node:crypto"
import { isIP } from "node:net"
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls"
import { Effect } from "effect"
import { parseHostPort } from "../../core/config/address.ts"
import { identityOf } from "../../core/identity/identity.ts"
import type { CertificateInvalid } from "../../services/Identity.ts"
import type { SettingsShape, TlsSettings } from "../../services/Settings.ts"
import { checkCa, checkKeyPair, orInvalid, readBounded, refuse } from "../internal/certificates.ts"

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

const checkPair = (
  certPath: string,
  cert: Buffer,
  keyPath: string,
  key: Buffer,
  settings: SettingsShape,
  nowMillis: number
): X509Certificate => {
  const certificate = checkKeyPair(certPath, cert, keyPath, key, nowMillis)
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
