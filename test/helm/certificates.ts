/** What cert-manager and its CSI driver would sign, made with openssl from the rendered Certificates and volumes. */
import { execFile } from "node:child_process"
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { promisify } from "node:util"
import type { ICertificate } from "@kubernetes-models/cert-manager/cert-manager.io/v1/Certificate"
import type { PodCertificate } from "./pod.ts"

const openssl = (...args: ReadonlyArray<string>) => promisify(execFile)("openssl", args)

/** cert-manager's words for usages, as openssl has them. */
const keyUsages: Readonly<Record<string, string>> = {
  "digital signature": "digitalSignature",
  "key encipherment": "keyEncipherment"
}
const extendedKeyUsages: Readonly<Record<string, string>> = { "server auth": "serverAuth", "client auth": "clientAuth" }

interface Wanted {
  readonly commonName: string
  readonly names: ReadonlyArray<string>
  readonly usages: ReadonlyArray<string>
  /** openssl's options of the new key. */
  readonly key: ReadonlyArray<string>
}

export class TestIssuer {
  readonly #folder: string
  #made = 0

  constructor(folder: string) {
    this.#folder = folder
    mkdirSync(folder, { recursive: true })
  }

  get #ca(): string {
    return join(this.#folder, "ca.crt")
  }

  get #caKey(): string {
    return join(this.#folder, "ca.key")
  }

  /** The CA of the rendered Certificate. */
  async makeCa({ spec }: ICertificate): Promise<void> {
    const { algorithm, size } = spec!.privateKey!
    if (spec!.isCA !== true || algorithm !== "ECDSA" || size !== 256) throw new Error("another CA than this test makes")
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", this.#caKey]
    const use = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    await openssl("req", "-x509", ...key, "-subj", `/CN=${spec!.commonName}`, "-days", "90", ...use, "-out", this.#ca)
  }

  async #sign({ commonName, key, names, usages }: Wanted, certFile: string, keyFile: string): Promise<void> {
    const base = join(this.#folder, `leaf-${++this.#made}`)
    const known = (table: Readonly<Record<string, string>>): string =>
      usages.flatMap((usage) => table[usage] ?? []).join(",")
    const lines = [
      "basicConstraints=critical,CA:FALSE",
      `subjectAltName=${names.join(",")}`,
      `keyUsage=critical,${known(keyUsages)}`,
      `extendedKeyUsage=${known(extendedKeyUsages)}`
    ]
    writeFileSync(`${base}.ext`, `${lines.join("\n")}\n`)
    await openssl(
      "req",
      "-new",
      ...key,
      "-nodes",
      "-keyout",
      keyFile,
      "-subj",
      `/CN=${commonName}`,
      "-out",
      `${base}.csr`
    )
    const from = ["-CA", this.#ca, "-CAkey", this.#caKey, "-set_serial", String(this.#made), "-extfile", `${base}.ext`]
    await openssl("x509", "-req", "-in", `${base}.csr`, "-days", "90", ...from, "-out", certFile)
  }

  /** The files of a volume below `root`; the CSI driver's keys are RSA 2048, its files readable for owner and group. */
  async fillVolume(root: string, wanted: PodCertificate): Promise<void> {
    const [certFile, keyFile, caFile] = [wanted.certFile, wanted.keyFile, wanted.caFile].map((file) => join(root, file))
    mkdirSync(dirname(certFile!), { recursive: true })
    const names = [
      ...wanted.uris.map((uri) => `URI:${uri}`),
      ...wanted.dnsNames.map((name) => `DNS:${name}`),
      ...wanted.addresses.map((address) => `IP:${address}`)
    ]
    await this.#sign({ ...wanted, names, key: ["-newkey", "rsa:2048"] }, certFile!, keyFile!)
    copyFileSync(this.#ca, caFile!)
    for (const file of [certFile!, keyFile!, caFile!]) chmodSync(file, 0o440)
  }

  /** The Secret of a rendered Certificate for a client, as files. */
  async clientFiles({
    spec
  }: ICertificate): Promise<{ readonly ca: string; readonly cert: string; readonly key: string }> {
    const [cert, key] = [join(this.#folder, "tls.crt"), join(this.#folder, "tls.key")]
    const names = spec!.uris!.map((uri) => `URI:${uri}`)
    const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    await this.#sign({ commonName: spec!.commonName!, names, usages: spec!.usages!, key: newKey }, cert, key)
    return { ca: this.#ca, cert, key }
  }
}
