/** The chart under test: rendered by the Go program of this folder, its documents as objects, its schema as a check. */
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { promisify } from "node:util"
import { Ajv2020 } from "ajv/dist/2020.js"
import { parse, parseAllDocuments } from "yaml"

export const chartFolder = new URL("../../deploy/helm/", import.meta.url).pathname
const programFolder = new URL(".", import.meta.url).pathname

export type Values = Readonly<Record<string, unknown>>

/** Any object of Kubernetes, as far as the tests look into all of them. */
export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> }
  readonly [field: string]: unknown
}

export interface Release {
  readonly name?: string
  readonly namespace?: string
}

export interface Rendered {
  /** The chart's defaults with the given values over them. */
  readonly values: Values
  readonly objects: ReadonlyArray<KubernetesObject>
  readonly notes: string
}

interface Answer {
  readonly values: Values
  readonly files?: Readonly<Record<string, string>>
  readonly error?: string
}

/** Debian's Go brings its library compiled; any other does, too. */
const go = existsSync("/usr/bin/go") ? "/usr/bin/go" : "go"

const build = async (output: string): Promise<void> => {
  const env = { ...process.env, GO111MODULE: "off", GOPATH: "/usr/share/gocode", GOFLAGS: "", GOTOOLCHAIN: "local" }
  try {
    await promisify(execFile)(go, ["build", "-o", output, "."], { cwd: programFolder, env })
  } catch (error) {
    const packages = "golang-go golang-github-masterminds-sprig-dev golang-k8s-sigs-yaml-dev"
    throw new Error(`the chart's renderer cannot be built (Debian: apt-get install ${packages})`, { cause: error })
  }
}

export const parseDocuments = (text: string): ReadonlyArray<KubernetesObject> =>
  parseAllDocuments(text, { strict: true, uniqueKeys: true })
    .map((document) => {
      if (document.errors[0] !== undefined) throw new Error(`${document.errors[0].message}\n${text}`)
      return document.toJS() as KubernetesObject | null
    })
    .filter((object) => object !== null)

export class ChartRenderer {
  readonly #folder: string
  readonly #child: ChildProcess
  readonly #waiting: Array<{ readonly done: (line: string) => void; readonly failed: (error: Error) => void }> = []

  private constructor(folder: string, program: string) {
    this.#folder = folder
    this.#child = spawn(program, [chartFolder], { stdio: ["pipe", "pipe", "inherit"] })
    createInterface({ input: this.#child.stdout! }).on("line", (line) => this.#waiting.shift()?.done(line))
    this.#child.once("exit", () => {
      for (const { failed } of this.#waiting.splice(0)) failed(new Error("the chart's renderer ended"))
    })
  }

  static async start(): Promise<ChartRenderer> {
    const folder = mkdtempSync(join(tmpdir(), "netsy-helm-"))
    const program = join(folder, "render")
    await build(program)
    return new ChartRenderer(folder, program)
  }

  async #ask(values: Values, { name = "netsy", namespace = "default" }: Release): Promise<Answer> {
    const line = await new Promise<string>((done, failed) => {
      this.#waiting.push({ done, failed })
      this.#child.stdin!.write(`${JSON.stringify({ release: name, namespace, values })}\n`)
    })
    return JSON.parse(line) as Answer
  }

  async render(values: Values = {}, release: Release = {}): Promise<Rendered> {
    const answer = await this.#ask(values, release)
    if (answer.error !== undefined) throw new Error(answer.error)
    const files = Object.entries(answer.files!)
    return {
      values: answer.values,
      objects: files.filter(([name]) => name.endsWith(".yaml")).flatMap(([, text]) => parseDocuments(text)),
      notes: answer.files!["NOTES.txt"]!
    }
  }

  /** Why it cannot be rendered; fails when it can. */
  async refusal(values: Values, release: Release = {}): Promise<string> {
    const { error } = await this.#ask(values, release)
    if (error === undefined) throw new Error(`rendered, although it should not: ${JSON.stringify(values)}`)
    return error
  }

  close(): void {
    this.#child.kill()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

export const defaultValues = parse(readFileSync(join(chartFolder, "values.yaml"), "utf8")) as Values

const schema = JSON.parse(readFileSync(join(chartFolder, "values.schema.json"), "utf8")) as Record<string, unknown>
const check = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true }).compile(schema)

/** What values.schema.json says against values; empty: nothing. */
export const schemaComplaints = (values: Values): ReadonlyArray<string> =>
  check(values) ? [] : check.errors!.map(({ instancePath, message }) => `${instancePath} ${message}`)

/** One object of a kind, by its name where there are several. */
export const only = <T = KubernetesObject>(rendered: Rendered, kind: string, name?: string): T => {
  const found = rendered.objects.filter(
    (one) => one.kind === kind && (name === undefined || one.metadata.name === name)
  )
  if (found.length !== 1) throw new Error(`${found.length} objects of kind ${kind} ${name ?? ""}`)
  return found[0] as T
}
