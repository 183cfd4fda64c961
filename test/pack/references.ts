/** What the files of a package name: other files of it, and packages. */
import { posix } from "node:path"
import { importsOf } from "../tidy/rules.ts"

export interface Package {
  /** Paths inside the package. */
  readonly files: ReadonlySet<string>
  readonly read: (path: string) => string
  /** Packages that are there when this one is installed. */
  readonly dependencies: ReadonlySet<string>
}

const packageOf = (specifier: string): string =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/")

/** In types `./a.ts` and `./a.js` both mean `./a.d.ts`. */
const fileOf = (from: string, specifier: string): string => {
  const path = posix.join(posix.dirname(from), specifier)
  return from.endsWith(".d.ts") ? path.replace(/\.[jt]s$/, ".d.ts") : path
}

/** Imports of the compiled modules and types, and sources of their maps, that are not there. */
export const missing = (one: Package): ReadonlyArray<string> => {
  const complaints: Array<string> = []
  for (const file of one.files) {
    if (!file.startsWith("dist/")) continue
    if (file.endsWith(".map")) {
      for (const source of sourcesOf(one, file)) {
        if (!one.files.has(source)) complaints.push(`${file}: ${source} is not in the package`)
      }
      continue
    }
    for (const { specifier } of importsOf(one.read(file))) {
      if (specifier.startsWith("node:")) continue
      const found = specifier.startsWith(".")
        ? one.files.has(fileOf(file, specifier))
        : one.dependencies.has(packageOf(specifier))
      if (!found) complaints.push(`${file}: ${specifier} is not there when the package is installed`)
    }
  }
  return complaints
}

/** Files that package.json points to (exports, types, bin, modules with side effects) and that are not there. */
export const pointsNowhere = (one: Package): ReadonlyArray<string> => {
  const { bin, exports, sideEffects, types } = JSON.parse(one.read("package.json"))
  const leaves = (value: unknown): ReadonlyArray<string> =>
    typeof value === "object" && value !== null ? Object.values(value).flatMap(leaves) : [String(value)]
  return leaves({ bin, exports, sideEffects, types }).filter((path) => !one.files.has(posix.normalize(path)))
}

const sourcesOf = (one: Package, map: string): ReadonlyArray<string> => {
  const { sources } = JSON.parse(one.read(map)) as { readonly sources: ReadonlyArray<string> }
  return sources.map((source) => posix.join(posix.dirname(map), source))
}

/** Files beside `documents` that no module of the package is made of. */
export const needless = (one: Package, documents: ReadonlySet<string>): ReadonlyArray<string> => {
  const sources = new Set([...one.files].filter((file) => file.endsWith(".map")).flatMap((map) => sourcesOf(one, map)))
  return [...one.files].filter((file) => {
    if (documents.has(file) || sources.has(file)) return false
    const source = file.replace(/^dist\//, "src/").replace(/(?:\.d\.ts|\.js)(?:\.map)?$/, ".ts")
    return !file.startsWith("dist/") || !sources.has(source)
  })
}
