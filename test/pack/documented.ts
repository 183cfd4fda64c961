/** Which public names have a description: those that the entry's types export, found by following its exports. */
import { posix } from "node:path"
import type { Package } from "./references.ts"

interface Exported {
  readonly file: string
  readonly name: string
}

const reexport = /^export (?:type )?(?:\{([^}]*)\}|\*(?: as (\w+))?) from "(\.[^"]+)";/gm

/** What the compiler writes stands at the start of a line, with its description right above. */
const declaration =
  /(\*\/\n)?^export (?:declare )?(?:abstract )?(?:class|const|function|interface|namespace|type) (\w+)/gm

const typesOf = (from: string, specifier: string): string =>
  posix.join(posix.dirname(from), specifier).replace(/\.[jt]s$/, ".d.ts")

/** Declared names of a file; true: described. A name with several declarations needs one description. */
const declared = (text: string): ReadonlyMap<string, boolean> => {
  const names = new Map<string, boolean>()
  for (const [, described, name = ""] of text.matchAll(declaration)) {
    names.set(name, names.get(name) === true || described !== undefined)
  }
  return names
}

const originalName = (part: string): string => /^(?:type\s+)?(\w+)/.exec(part.trim())?.[1] ?? ""

/** Everything that `file` exports, or only `wanted` of it, where it is declared. */
const exportsOf = (one: Package, file: string, wanted?: ReadonlySet<string>): ReadonlyArray<Exported> => {
  const text = one.read(file)
  const names = [...declared(text).keys()].filter((name) => wanted?.has(name) ?? true).map((name) => ({ file, name }))
  for (const [, list, , specifier = ""] of text.matchAll(reexport)) {
    const picked = list === undefined ? undefined : new Set(list.split(",").map(originalName))
    names.push(...exportsOf(one, typesOf(file, specifier), picked))
  }
  return names
}

/** `count` names are public; `complaints` are those without a description. */
export const descriptions = (
  one: Package,
  entry: string
): { readonly count: number; readonly complaints: ReadonlyArray<string> } => {
  const all = exportsOf(one, entry)
  const complaints = all
    .filter(({ file, name }) => declared(one.read(file)).get(name) !== true)
    .map(({ file, name }) => `${file}: ${name} has no description`)
  return { count: all.length, complaints: [...new Set(complaints)] }
}
