/**
 * A self-signed X.509 certificate in DER: ECDSA over P-256 with SHA-256, for servers and their own calls. Pure: key, serial
 * number and signature come from outside.
 */
import { isoTime } from "../isoTime.ts"

export interface SelfSignedInput {
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKey: Uint8Array
  /** 1 to 20 bytes; the first bit is cleared. */
  readonly serial: Uint8Array
  readonly organization: string
  readonly notBeforeMillis: number
  readonly notAfterMillis: number
  readonly dnsNames: ReadonlyArray<string>
  /** 4 or 16 bytes each. */
  readonly addresses: ReadonlyArray<Uint8Array>
  /** Of these bytes, in DER. */
  readonly sign: (bytes: Uint8Array) => Uint8Array
}

const tags = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  utcTime: 0x17,
  time: 0x18,
  sequence: 0x30,
  set: 0x31,
  version: 0xa0,
  extensions: 0xa3,
  dnsName: 0x82,
  address: 0x87
} as const

const lengthOf = (length: number): ReadonlyArray<number> => {
  if (length < 0x80) return [length]
  const bytes: Array<number> = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  return [0x80 | bytes.length, ...bytes]
}

type Part = Uint8Array | ReadonlyArray<number>

const der = (tag: number, ...parts: ReadonlyArray<Part>): Uint8Array => {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  return Uint8Array.from([tag, ...lengthOf(length), ...parts.flatMap((part) => [...part])])
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

const ecdsaWithSha256 = der(tags.sequence, der(tags.oid, [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]))
const organizationName = [0x55, 0x04, 0x0a]
const keyUsage = [0x55, 0x1d, 0x0f]
const extendedKeyUsage = [0x55, 0x1d, 0x25]
const basicConstraints = [0x55, 0x1d, 0x13]
const subjectAltName = [0x55, 0x1d, 0x11]
const serverAuth = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01]
const clientAuth = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02]

/** Two digits for the year until 2049, four later. */
const time = (millis: number): Uint8Array => {
  const digits = isoTime(millis)
    .replace(/\.\d+Z$/, "Z")
    .replace(/[-:T]/g, "")
  return Number(digits.slice(0, 4)) < 2050 ? der(tags.utcTime, text(digits.slice(2))) : der(tags.time, text(digits))
}

const extension = (id: ReadonlyArray<number>, critical: boolean, value: Uint8Array): Uint8Array =>
  der(tags.sequence, der(tags.oid, id), critical ? der(tags.boolean, [0xff]) : [], der(tags.octets, value))

/** Positive, without needless zeros at the front. */
const serialNumber = (serial: Uint8Array): Uint8Array => {
  const bytes = Uint8Array.from(serial)
  bytes[0] = (bytes[0]! & 0x7f) | 0x40
  return der(tags.integer, bytes)
}

export const selfSigned = (input: SelfSignedInput): Uint8Array => {
  const name = der(
    tags.sequence,
    der(tags.set, der(tags.sequence, der(tags.oid, organizationName), der(tags.utf8, text(input.organization))))
  )
  const altNames = der(
    tags.sequence,
    ...input.dnsNames.map((dns) => der(tags.dnsName, text(dns))),
    ...input.addresses.map((address) => der(tags.address, address))
  )
  const extensions = der(
    tags.sequence,
    // digitalSignature and keyCertSign: it signs itself.
    extension(keyUsage, true, der(tags.bits, [0x02, 0x84])),
    extension(extendedKeyUsage, false, der(tags.sequence, der(tags.oid, serverAuth), der(tags.oid, clientAuth))),
    extension(basicConstraints, true, der(tags.sequence, der(tags.boolean, [0xff]))),
    extension(subjectAltName, false, altNames)
  )
  const body = der(
    tags.sequence,
    der(tags.version, der(tags.integer, [2])),
    serialNumber(input.serial),
    ecdsaWithSha256,
    name,
    der(tags.sequence, time(input.notBeforeMillis), time(input.notAfterMillis)),
    name,
    input.publicKey,
    der(tags.extensions, extensions)
  )
  return der(tags.sequence, body, ecdsaWithSha256, der(tags.bits, [0], input.sign(body)))
}

export const pemOf = (label: string, bytes: Uint8Array): string => {
  const lines =
    Buffer.from(bytes)
      .toString("base64")
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`
}
