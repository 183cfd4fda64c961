/** What is wrong with a page's code blocks: JSON, JSONC and YAML that cannot be read, settings that a node refuses. */
import { type ParseError, parse, printParseErrorCode } from "jsonc-parser"
import { parseAllDocuments } from "yaml"
import { fileGroups, fileKeys, variableOf } from "../../../src/core/config/fields.ts"
import { formatProblem } from "../../../src/core/config/problem.ts"
import { resolveSettings } from "../../../src/core/config/resolve.ts"
import type { Block, Page } from "./page.ts"

type Complain = (what: string) => string

const jsonComplaints = (block: Block, complain: Complain): ReadonlyArray<string> => {
  const errors: Array<ParseError> = []
  const strict = block.language === "json"
  const value: unknown = parse(block.text, errors, { allowTrailingComma: !strict, disallowComments: strict })
  if (errors.length > 0) {
    return errors.map(({ error, offset }) => complain(`${printParseErrorCode(error)} at character ${offset}`))
  }
  return looksLikeSettings(value) ? settingsComplaints(block.text, value, complain) : []
}

const topWords = new Set<string>([...fileKeys, ...fileGroups].map((key) => key.split(".")[0]!))

/** Every entry is one of a cluster file's own. */
const looksLikeSettings = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" &&
  value !== null &&
  !Array.isArray(value) &&
  Object.keys(value).length > 0 &&
  Object.keys(value).every((key) => topWords.has(key.toLowerCase()))

const has = (value: unknown, key: string): boolean =>
  key.split(".").reduce<unknown>((group, word) => (group as Record<string, unknown> | undefined)?.[word], value) !==
  undefined

/** What a part of a cluster file leaves to the rest of it. */
const elsewhere = {
  cluster_id: "example",
  "storage.bucket_name": "example",
  heartbeat_interval: "1s",
  "elector.primary_prior_timeout": "5s",
  "replication.chunk_buffer.threshold_age_minutes": "1"
} as const

const settingsComplaints = (
  text: string,
  value: Record<string, unknown>,
  complain: Complain
): ReadonlyArray<string> => {
  const directory = (value["storage"] as Record<string, unknown> | undefined)?.["provider"] === "directory"
  const env = Object.entries(elsewhere)
    .filter(([key]) => !has(value, key) && !(directory && key === "storage.bucket_name"))
    .map(([key, text]) => [variableOf(key as keyof typeof elsewhere), text])
  const resolved = resolveSettings({
    argv: ["--validate", "block"],
    env: { ...Object.fromEntries(env), NETSY_NODE_ID: "node-1" },
    cwd: "/",
    readFile: () => text
  })
  return [...resolved.warnings, ...(resolved.ok ? [] : resolved.problems.map(formatProblem))].map(complain)
}

const yamlComplaints = (block: Block, complain: Complain): ReadonlyArray<string> =>
  parseAllDocuments(block.text).flatMap((document) =>
    [...document.errors, ...document.warnings].map((error) => complain(error.message))
  )

export const blockComplaints = (page: Page): ReadonlyArray<string> =>
  page.blocks.flatMap((block) => {
    const complain: Complain = (what) => `${page.path}:${block.line}: ${block.language} block: ${what}`
    if (block.language === "json" || block.language === "jsonc") return jsonComplaints(block, complain)
    if (block.language === "yaml" || block.language === "yml") return yamlComplaints(block, complain)
    return []
  })

export const isShell = ({ language }: Block): boolean => ["sh", "bash", "shell"].includes(language)

export const isTypeScript = ({ language }: Block): boolean => ["ts", "typescript"].includes(language)
