/** What is wrong with a page, as far as its text says it. Each complaint names the page and the line. Pure. */
import { posix } from "node:path"
import { fileGroups } from "../../../src/core/config/fields.ts"
import type { Page } from "./page.ts"
import type { Names } from "./project.ts"

const isOutside = (url: string): boolean => /^(?:https?|mailto):/.test(url)

export const linkComplaints = (
  page: Page,
  pages: ReadonlyMap<string, Page>,
  exists: (path: string) => boolean
): ReadonlyArray<string> =>
  page.links.flatMap(({ line, url }) => {
    if (isOutside(url)) return []
    const [file = "", anchor] = url.split("#", 2)
    const path = file === "" ? page.path : posix.join(posix.dirname(page.path), decodeURIComponent(file))
    const at = `${page.path}:${line}`
    if (path.startsWith("..") || url.startsWith("/")) return [`${at}: the link ${url} leaves the project`]
    if (!exists(path)) return [`${at}: the link ${url} leads nowhere`]
    if (anchor === undefined) return []
    const target = pages.get(path.replace(/\/$/, ""))
    if (target === undefined) return [`${at}: the link ${url} names a heading of something that is no page`]
    return target.anchors.has(anchor) ? [] : [`${at}: there is no heading #${anchor} in ${path}`]
  })

const roots = ["src", "docs", "test", "scripts", "deploy", "examples", "images", "proto", "bin", ".ci"]
const pathPattern = new RegExp(
  `^(?:\\./)?((?:${roots.join("|").replace(".", "\\.")})/[\\w./*{},@-]*)(?:[:#]\\d+)?(?:\\s|$)`
)

/** Names of the project in one piece of code: a word in backticks, or a line of a block of commands. */
export const nameComplaints = (at: string, text: string, names: Names): ReadonlyArray<string> => {
  const complaints: Array<string> = []
  const path = pathPattern.exec(text)?.[1]
  if (path !== undefined && !names.path(path)) complaints.push(`${at}: there is no ${path}`)
  const command = text.replace(/\s+#\s.*$/, "")
  for (const match of command.matchAll(/(?:^|[;&|(] ?|=\S* )make ((?:[a-z][a-z0-9-]*(?:\s+|$))+)/g)) {
    for (const target of (match[1] ?? "").trim().split(/\s+/)) {
      if (!names.target(target)) complaints.push(`${at}: there is no target "make ${target}"`)
    }
  }
  for (const [variable] of text.matchAll(/\bNETSY_[A-Z0-9_]*/g)) {
    if (!names.variable(variable)) complaints.push(`${at}: nothing reads the variable ${variable}`)
  }
  for (const [variable] of text.matchAll(/\bETCD_[A-Z0-9_]*[A-Z0-9]/g)) {
    if (!names.flag(variable.slice(5).toLowerCase().replaceAll("_", "-"))) {
      complaints.push(`${at}: there is no variable ${variable}`)
    }
  }
  if (/^(?:(?:bin\/)?netsy|etcd)\b/.test(text)) complaints.push(...flagComplaints(at, text, names))
  return complaints
}

const flagComplaints = (at: string, text: string, names: Names): ReadonlyArray<string> =>
  [...text.matchAll(/(?:^|\s)--([a-z][a-z0-9-]*)(?!…)/g)].flatMap(([, name = ""]) =>
    names.flag(name) ? [] : [`${at}: there is no flag --${name}`]
  )

const keyPattern = new RegExp(`^(?:${fileGroups.filter((group) => !group.includes(".")).join("|")})(?:\\.[a-z_]+)+$`)

/** Here a flag alone in backticks is one of this program. */
const flagPages = ["docs/configuration.md", "docs/etcd-mode.md"]

/** Files and other people's permissions that look like keys. */
const notKeys = /^snapshot\.db\b|^storage\.(?:buckets|objects|multipartUploads)\./

export const codeComplaints = (page: Page, names: Names): ReadonlyArray<string> => [
  ...page.codes.flatMap(({ line, text }) => {
    const at = `${page.path}:${line}`
    const key = keyPattern.test(text) && !notKeys.test(text) && !names.key(text) && !names.path(text)
    const flags = flagPages.includes(page.path) && /^--[a-z-]+[a-z](?:$|[ =])/.test(text)
    return [
      ...nameComplaints(at, text, names),
      ...(flags ? flagComplaints(at, text, names) : []),
      ...(key ? [`${at}: there is no key ${text}`] : [])
    ]
  }),
  ...page.blocks
    .filter(({ language }) => ["", "sh", "bash", "console"].includes(language))
    .flatMap(({ line, text }) =>
      text.split("\n").flatMap((words, i) => nameComplaints(`${page.path}:${line + i}`, words.trim(), names))
    )
]
