/** Listing of a directory store: a walk in byte order of keys that reads only the folders a page needs. */
import type { Dirent } from "node:fs"
import { readdir } from "node:fs/promises"
import { join } from "node:path"
import { compareKeys } from "../../core/s3/keyOrder.ts"
import type { ListPage, ObjectInfo } from "../../services/ObjectStore.ts"
import { pageLimit } from "./keys.ts"

export interface ListOptions {
  readonly prefix: string
  readonly after?: string
  readonly delimiter?: string
  readonly limit?: number
}

/** Key of an entry; a folder's ends in "/". Undefined: nothing of ours (hidden, a link, a socket). */
const keyOfEntry = (base: string, entry: Dirent): string | undefined => {
  if (entry.name.startsWith(".")) return undefined
  if (entry.isDirectory()) return `${base}${entry.name}/`
  return entry.isFile() ? base + entry.name : undefined
}

const entriesOf = async (root: string, base: string): Promise<ReadonlyArray<string>> => {
  try {
    const entries = await readdir(join(root, base), { withFileTypes: true })
    return entries
      .map((entry) => keyOfEntry(base, entry))
      .filter((key) => key !== undefined)
      .sort(compareKeys)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === "ENOENT" || code === "ENOTDIR") return []
    throw error
  }
}

/** All keys with the prefix and behind `after`, ascending; whole subtrees that cannot matter are not read. */
async function* walk(root: string, base: string, options: ListOptions, skip: () => string): AsyncGenerator<string> {
  const { prefix, after } = options
  for (const key of await entriesOf(root, base)) {
    const folder = key.endsWith("/")
    if (!key.startsWith(prefix) && !(folder && prefix.startsWith(key))) continue
    if (after !== undefined && compareKeys(key, after) <= 0 && !(folder && after.startsWith(key))) continue
    const said = skip()
    if (said !== "" && key.startsWith(said)) continue
    if (folder) yield* walk(root, key, options, skip)
    else if (after === undefined || compareKeys(key, after) > 0) yield key
  }
}

export const listDirectory = async (
  root: string,
  options: ListOptions,
  describe: (key: string, path: string) => ObjectInfo | undefined
): Promise<ListPage> => {
  const { prefix, after, delimiter = "" } = options
  const limit = pageLimit(options.limit)
  const keys: Array<string> = []
  const prefixes: Array<string> = []
  // The rolled-up prefix the walk may skip: it is in the answer, or an earlier page ended with it.
  let said = delimiter !== "" && after !== undefined && after.endsWith(delimiter) ? after : ""
  let last: string | undefined
  let next: string | undefined
  const base = prefix.slice(0, prefix.lastIndexOf("/") + 1)
  for await (const key of walk(root, base, options, () => said)) {
    if (said !== "" && key.startsWith(said)) continue
    if (keys.length + prefixes.length === limit) {
      next = last
      break
    }
    const cut = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length)
    if (cut === -1) keys.push((last = key))
    else prefixes.push((last = said = key.slice(0, cut + delimiter.length)))
  }
  const objects: Array<ObjectInfo> = []
  for (const key of keys) {
    const info = describe(key, join(root, key))
    // Deleted since the folder was read.
    if (info !== undefined) objects.push(info)
  }
  return { objects, prefixes, next }
}
