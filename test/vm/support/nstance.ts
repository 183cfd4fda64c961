/**
 * A small stand-in for Nstance, both halves of it: the server that reads deploy/nstance/, renders it for an instance and
 * signs certificates for the agent's public keys, and the agent that makes the keys and lays everything out.
 */
import { execFile } from "node:child_process"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { parse, type ParseError } from "jsonc-parser"

export const deploy = new URL("../../../deploy/", import.meta.url).pathname

export interface Instance {
  readonly ID: string
  readonly Hostname: string
  readonly IP4: string
  readonly IP6: string
}

interface CertificateTemplate {
  readonly kind: "server" | "client"
  readonly cn: string
  readonly uri: ReadonlyArray<string>
  readonly dns?: ReadonlyArray<string>
  readonly ip?: ReadonlyArray<string>
}

export type FileTemplate =
  | {
      readonly kind: "certificate"
      readonly template: string
      readonly key: { readonly source: "agent"; readonly name: string }
    }
  | { readonly kind: "env"; readonly template: Readonly<Record<string, string>> }
  | { readonly kind: "json"; readonly template: Readonly<Record<string, unknown>> }

export interface Fragments {
  readonly certificates: Readonly<Record<string, CertificateTemplate>>
  readonly templates: Readonly<
    Record<string, { readonly kind: string; readonly files: Readonly<Record<string, FileTemplate>> }>
  >
  readonly groups: Readonly<
    Record<string, { readonly template: string; readonly size: number; readonly subnet_pool: string }>
  >
}

const fragment = (name: string): Record<string, unknown> => {
  const problems: Array<ParseError> = []
  const text = readFileSync(join(deploy, "nstance", name), "utf8")
  const value = parse(text, problems, { allowTrailingComma: false }) as Record<string, unknown>
  if (problems.length > 0) throw new Error(`${name}: not JSONC at byte ${problems[0]!.offset}`)
  return value
}

export const readFragments = (): Fragments =>
  ({
    ...fragment("certificates.jsonc"),
    ...fragment("templates.jsonc"),
    ...fragment("groups.jsonc")
  }) as unknown as Fragments

/** Go's text/template as far as the fragments use it: fields. */
export const render = (text: string, data: { readonly Instance: Instance }): string =>
  text.replaceAll(/\{\{(.*?)\}\}/g, (_, expression: string) => {
    const path = /^ \.([A-Za-z0-9_.]+) $/.exec(expression)?.[1]
    if (path === undefined) throw new Error(`not a field: {{${expression}}}`)
    const value = path
      .split(".")
      .reduce<unknown>((of, name) => (of as Readonly<Record<string, unknown>> | undefined)?.[name], data)
    if (typeof value !== "string") throw new Error(`the template asks for .${path}, which there is not`)
    return value
  })

const renderAll = (value: unknown, data: { readonly Instance: Instance }): unknown => {
  if (typeof value === "string") return render(value, data)
  if (Array.isArray(value)) return value.map((one) => renderAll(one, data))
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, renderAll(one, data)]))
}

const openssl = async (...args: ReadonlyArray<string>): Promise<void> => {
  await promisify(execFile)("openssl", [...args])
}

const newKey = (file: string): Promise<void> =>
  openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", file)

export class Nstance {
  readonly fragments: Fragments
  readonly #folder: string
  #serial = 1

  private constructor(folder: string, fragments: Fragments) {
    this.#folder = folder
    this.fragments = fragments
  }

  /** With a new CA in the folder. */
  static async open(folder: string, fragments: Fragments = readFragments()): Promise<Nstance> {
    mkdirSync(folder, { recursive: true })
    const nstance = new Nstance(folder, fragments)
    await newKey(nstance.file("ca.key"))
    const usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    const named = ["-key", nstance.file("ca.key"), "-subj", "/CN=nstance-ca", "-days", "30", ...usage]
    await openssl("req", "-x509", "-new", ...named, "-out", nstance.file("ca.crt"))
    return nstance
  }

  file(name: string): string {
    return join(this.#folder, name)
  }

  /** A new key and its certificate by the CA, NAME.key and NAME.crt in the folder. */
  async issue(folder: string, name: string, template: CertificateTemplate): Promise<void> {
    const [key, publicKey] = [join(folder, `${name}.key`), this.file(`${name}.pub`)]
    await newKey(key)
    await openssl("pkey", "-in", key, "-pubout", "-out", publicKey)
    await this.#sign(publicKey, template, join(folder, `${name}.crt`))
  }

  /** Of a client of the cluster, whom Nstance knows nothing of: client.crt and client.key. */
  client(): Promise<void> {
    const uri = ["netsy://my-cluster/client/etcdctl"]
    return this.issue(this.file(""), "client", { kind: "client", cn: "etcdctl", uri })
  }

  /**
   * What the agent of a new instance of the group has in its directories `recv`, `keys` and `identity` below the folder:
   * it makes the keys, the server gets the public ones and answers with files.
   */
  async register(group: string, instance: Instance, folder: string): Promise<void> {
    const { certificates, groups, templates } = this.fragments
    const template = templates[groups[group]!.template]!
    if (!instance.ID.startsWith(`${template.kind}-`)) throw new Error(`${instance.ID} is not of kind ${template.kind}`)
    const [recv, keys, identity] = ["recv", "keys", "identity"].map((name) => join(folder, name))
    for (const directory of [recv, keys, identity]) mkdirSync(directory!, { recursive: true })
    writeFileSync(join(identity!, "ca.crt"), readFileSync(this.file("ca.crt")))
    const data = { Instance: instance }
    for (const [name, file] of Object.entries(template.files)) {
      const target = join(recv!, name)
      if (file.kind === "env") {
        const lines = Object.entries(file.template).map(([key, value]) => `${key}=${render(value, data)}\n`)
        writeFileSync(target, lines.join(""))
      } else if (file.kind === "json") {
        writeFileSync(target, JSON.stringify(renderAll(file.template, data), undefined, 2))
      } else {
        const publicKey = join(keys!, file.key.name)
        const privateKey = publicKey.replace(/\.pub$/, ".key")
        await newKey(privateKey)
        await openssl("pkey", "-in", privateKey, "-pubout", "-out", publicKey)
        await this.#sign(publicKey, renderAll(certificates[file.template], data) as CertificateTemplate, target)
      }
    }
  }

  async #sign(publicKey: string, template: CertificateTemplate, to: string): Promise<void> {
    const { cn, dns = [], ip = [], kind, uri } = template
    const names = [
      ...uri.map((one) => `URI:${one}`),
      ...dns.map((one) => `DNS:${one}`),
      ...ip.map((one) => `IP:${one}`)
    ]
    const extensions = this.file(`extensions-${this.#serial}`)
    writeFileSync(
      extensions,
      [
        "basicConstraints = critical, CA:FALSE",
        `subjectAltName = ${names.join(", ")}`,
        `keyUsage = critical, digitalSignature${kind === "server" ? ", keyEncipherment" : ""}`,
        `extendedKeyUsage = ${kind}Auth`
      ].join("\n")
    )
    const signer = ["-CA", this.file("ca.crt"), "-CAkey", this.file("ca.key"), "-set_serial", String(this.#serial++)]
    const subject = ["-new", "-subj", `/CN=${cn}`, "-force_pubkey", publicKey, "-days", "30", "-extfile", extensions]
    await openssl("x509", ...subject, ...signer, "-out", to)
  }
}
