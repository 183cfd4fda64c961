/** Certificates made with openssl in a directory of the test's own. */
import { execFileSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect, type Scope } from "effect"
import { temporaryFolder } from "../support/temporaryFolder.ts"

export interface Pair {
  readonly cert: string
  readonly key: string
}

export interface Authority {
  readonly directory: string
  readonly caCert: string
  /** Paths of a key and a certificate that the authority has signed. */
  readonly issue: (name: string, subjectAltName: string, validity?: "valid" | "expired") => Pair
}

// `openssl ca` is what can sign for dates in the past; it wants a little database.
const configuration = `[ca]
default_ca=d
[d]
database=index.txt
rand_serial=yes
new_certs_dir=.
default_md=sha256
policy=p
unique_subject=no
[p]
commonName=supplied
`

const make = (directory: string): Authority => {
  const openssl = (...args: ReadonlyArray<string>) => execFileSync("openssl", args, { cwd: directory, stdio: "pipe" })
  const newKey = (path: string) =>
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)
  writeFileSync(join(directory, "index.txt"), "")
  writeFileSync(join(directory, "ca.cnf"), configuration)
  newKey("ca.key")
  openssl("req", "-x509", "-new", "-key", "ca.key", "-subj", "/CN=test-ca", "-days", "30", "-out", "ca.crt")
  return {
    directory,
    caCert: join(directory, "ca.crt"),
    issue: (name, subjectAltName, validity = "valid") => {
      newKey(`${name}.key`)
      openssl("req", "-new", "-key", `${name}.key`, "-subj", `/CN=${name}`, "-out", `${name}.csr`)
      writeFileSync(join(directory, `${name}.ext`), `subjectAltName = ${subjectAltName}\n`)
      const dates =
        validity === "valid" ? ["-days", "30"] : ["-startdate", "20200101000000Z", "-enddate", "20210101000000Z"]
      openssl(
        "ca",
        "-batch",
        "-notext",
        "-config",
        "ca.cnf",
        "-cert",
        "ca.crt",
        "-keyfile",
        "ca.key",
        "-in",
        `${name}.csr`,
        "-extfile",
        `${name}.ext`,
        "-out",
        `${name}.crt`,
        ...dates
      )
      return { cert: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) }
    }
  }
}

export const authority: Effect.Effect<Authority, never, Scope.Scope> = temporaryFolder.pipe(Effect.map(make))
