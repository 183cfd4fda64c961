/** The files of one kind of port of `netsy etcd`, read, checked and made into TLS options. Keeps nothing. */
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls"
import { Effect } from "effect"
import type { CertificateInvalid } from "../../services/Identity.ts"
import type { EtcdSettings, EtcdTlsSettings } from "../../services/Settings.ts"
import { checkCa, checkKeyPair, orInvalid, readBounded } from "../internal/certificates.ts"
import type { Expiry } from "../internal/certificateReload.ts"

/** Paths of what one kind of port needs; undefined: not given. */
export interface SidePaths {
  readonly cert: string
  readonly key: string
  readonly clientCert: string | undefined
  readonly clientKey: string | undefined
  readonly ca: string | undefined
  readonly crl: string | undefined
}

export type SideFiles = { readonly [Name in keyof SidePaths]: Buffer | undefined }

export interface LoadedSide {
  readonly serverOptions: SecureContextOptions
  readonly serverContext: SecureContext
  /** For calls from this node. */
  readonly clientOptions: SecureContextOptions
  readonly expires: Expiry
}

/** `made`: the pair that this node has made itself (`--auto-tls`). */
export const pathsOf = (tls: EtcdTlsSettings, made: { readonly cert: string; readonly key: string }): SidePaths => ({
  ...(tls.files ?? made),
  clientCert: tls.clientFiles?.cert,
  clientKey: tls.clientFiles?.key,
  ca: tls.trustedCaFile,
  crl: tls.crlFile
})

export const readSide = (paths: SidePaths): Effect.Effect<SideFiles, CertificateInvalid> => {
  const read = (path: string | undefined) => (path === undefined ? Effect.succeed(undefined) : readBounded(path))
  return Effect.all({
    cert: read(paths.cert),
    key: read(paths.key),
    clientCert: read(paths.clientCert),
    clientKey: read(paths.clientKey),
    ca: read(paths.ca),
    crl: read(paths.crl)
  })
}

const names = ["cert", "key", "clientCert", "clientKey", "ca", "crl"] as const

export const isSameSide = (a: SideFiles, b: SideFiles): boolean =>
  names.every((name) => {
    const [left, right] = [a[name], b[name]]
    return left === undefined || right === undefined ? left === right : left.equals(right)
  })

/** Throws `CertificateInvalid`. */
export const loadSide = (
  { cipherSuites, tlsMaxVersion, tlsMinVersion }: EtcdSettings,
  paths: SidePaths,
  files: SideFiles,
  nowMillis: number
): LoadedSide => {
  const [cert, key] = [files.cert!, files.key!]
  const certificate = checkKeyPair(paths.cert, cert, paths.key, key, nowMillis)
  if (files.ca !== undefined) checkCa(paths.ca!, files.ca, nowMillis)
  const caller =
    files.clientCert === undefined || files.clientKey === undefined
      ? undefined
      : checkKeyPair(paths.clientCert!, files.clientCert, paths.clientKey!, files.clientKey, nowMillis)

  const common: SecureContextOptions = {
    minVersion: tlsMinVersion,
    maxVersion: tlsMaxVersion,
    ...(cipherSuites.length === 0
      ? {}
      : { ciphers: [...tls13Suites, ...cipherSuites].join(":"), honorCipherOrder: true }),
    ...(files.ca === undefined ? {} : { ca: files.ca })
  }
  const serverOptions = { ...common, cert, key, ...(files.crl === undefined ? {} : { crl: files.crl }) }
  const clientOptions = { ...common, cert: files.clientCert ?? cert, key: files.clientKey ?? key }
  const serverContext = orInvalid(paths.crl ?? paths.cert, () => createSecureContext(serverOptions))
  orInvalid(paths.clientCert ?? paths.cert, () => createSecureContext(clientOptions))
  const serverEnd = certificate.validToDate.getTime()
  const callerEnd = caller?.validToDate.getTime() ?? serverEnd
  const expires =
    serverEnd <= callerEnd
      ? { path: paths.cert, atMillis: serverEnd }
      : { path: paths.clientCert!, atMillis: callerEnd }
  return { serverOptions, serverContext, clientOptions, expires }
}

/** Always on, as in Go; OpenSSL wants them named. */
const tls13Suites: ReadonlyArray<string> = [
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "TLS_AES_128_GCM_SHA256"
]
