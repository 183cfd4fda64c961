/** PEM files: read with a bound, parsed, in date, key fits certificate. Every complaint names the file. */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto"
import { open } from "node:fs/promises"
import { Effect } from "effect"
import { CertificateInvalid } from "../../services/Identity.ts"

const fileBytesMax = 1 << 20

export const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

export const readBounded = (path: string): Effect.Effect<Buffer, CertificateInvalid> =>
  Effect.tryPromise({
    try: async () => {
      await using file = await open(path)
      const { size } = await file.stat()
      if (size > fileBytesMax) throw new Error(`larger than ${fileBytesMax} bytes`)
      return await file.readFile()
    },
    catch: (cause) => new CertificateInvalid({ path, reason: reasonOf(cause) })
  })

export const refuse = (path: string, reason: string): never => {
  throw new CertificateInvalid({ path, reason })
}

export const orInvalid = <A>(path: string, make: () => A): A => {
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
export const checkCa = (path: string, pem: Buffer, nowMillis: number): void => {
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

/** In date, and the key is the certificate's. Throws `CertificateInvalid`. */
export const checkKeyPair = (
  certPath: string,
  cert: Buffer,
  keyPath: string,
  key: Buffer,
  nowMillis: number
): X509Certificate => {
  const certificate = parseCertificate(certPath, cert)
  const late = outOfDate(certificate, nowMillis)
  if (late !== undefined) refuse(certPath, late)
  if (!certificate.checkPrivateKey(parseKey(keyPath, key))) refuse(keyPath, `does not fit the certificate ${certPath}`)
  return certificate
}
