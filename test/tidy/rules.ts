/** The rules of the house as functions from a file's path and text to complaints. Pure; tidy.test.ts feeds them. */

export interface SourceFile {
  /** Relative to the project, with `/`. */
  readonly path: string
  readonly text: string
}

export interface Import {
  readonly specifier: string
  readonly typeOnly: boolean
}

/** Replaces comments and keeps line breaks, so that prose never counts as code. */
export const withoutComments = (text: string): string =>
  text.replaceAll(
    /\/\*[\s\S]*?\*\/|("(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`|'(?:[^'\\\n]|\\.)*')|\/\/[^\n]*/g,
    (match, string) => (string === undefined ? match.replaceAll(/[^\n]/g, " ") : match)
  )

const importPattern =
  /\b(?:import|export)\s+(type\s+)?(?:[\w*\s{},$]+?\sfrom\s+)?"([^"]+)"|\bimport\(\s*"([^"]+)"\s*\)|\bnew URL\(\s*"(\.[^"]+\.ts)"/g

/** Static, dynamic and worker imports. An import of which every name is `type` counts as a type import. */
export const importsOf = (text: string): ReadonlyArray<Import> =>
  [...withoutComments(text).matchAll(importPattern)].map((match) => {
    const names = /\{([^}]*)\}/
      .exec(match[0])?.[1]
      ?.split(",")
      .filter((name) => name.trim() !== "")
    const allTypes =
      names !== undefined &&
      names.every((name) => name.trim().startsWith("type ")) &&
      !/\b(?:import|export)\s+\w+\s*,/.test(match[0])
    return { specifier: match[2] ?? match[3] ?? match[4] ?? "", typeOnly: match[1] !== undefined || allTypes }
  })

const ranks = ["core", "services", "layers", "programs"] as const

/** The ring a file under src belongs to; files directly in src compose layers, as programs do. */
const rankOf = (path: string): number => {
  const ring = path.split("/")[1] ?? ""
  const rank = ranks.findIndex((name) => name === ring)
  return rank === -1 ? ranks.length - 1 : rank
}

/** `src/layers/ObjectStoreS3.ts` and everything in `src/layers/ObjectStoreS3/` are one layer; lower case is shared. */
const layerOf = (path: string): string | undefined => {
  const name = /^src\/layers\/([^/]+?)(?:\.ts|\/.*)$/.exec(path)?.[1]
  return name !== undefined && /^[A-Z]/.test(name) ? name : undefined
}

export const resolveImport = (from: string, specifier: string): string => {
  const parts = from.split("/").slice(0, -1)
  for (const part of specifier.split("/")) {
    if (part === "..") parts.pop()
    else if (part !== ".") parts.push(part)
  }
  return parts.join("/")
}

/** What core may use besides types: modules that only compute. */
const pureModules = new Set(["node:buffer", "node:zlib", "node:util", "node:path", "jsonc-parser", "yaml"])

/** Folders beside src, and which of the project's folders their imports may reach. Tests may reach everything. */
const besideSource = new Map([
  ["scripts", ["src", "scripts"]],
  ["examples", ["examples"]]
])

/** An example shows what a program of one's own looks like: the package, Effect, and Node. */
const exampleModule = /^(?:netsy|effect(?:\/.*)?|@effect\/vitest|node:.*)$/

/** Imports of files outside src: an example imports the package and no file of src, a script no test. */
const besideComplaints = (file: SourceFile): ReadonlyArray<string> => {
  const own = file.path.split("/")[0] ?? ""
  const reach = besideSource.get(own)
  if (reach === undefined || !file.path.endsWith(".ts")) return []
  return importsOf(file.text).flatMap(({ specifier }) => {
    if (!specifier.startsWith(".")) {
      return own !== "examples" || exampleModule.test(specifier)
        ? []
        : [`${file.path}: an example imports ${specifier}; it may use netsy, effect and Node's modules`]
    }
    const target = resolveImport(file.path, specifier)
    return reach.includes(target.split("/")[0] ?? "")
      ? []
      : [`${file.path}: imports ${target}; files in ${own}/ may import ${reach.join("/ and ")}/ alone`]
  })
}

/**
 * programs → layers → services → core; no layer imports a layer; core stays pure. Core may name the types of a service
 * (the settings it reads, say): they are gone at run time. Nothing in src imports the package's own face, src/index.ts.
 */
export const importComplaints = (file: SourceFile): ReadonlyArray<string> => {
  if (!file.path.startsWith("src/")) return besideComplaints(file)
  const complaints: Array<string> = []
  for (const { specifier, typeOnly } of importsOf(file.text)) {
    if (!specifier.startsWith(".")) {
      if (rankOf(file.path) === 0 && !typeOnly && !pureModules.has(specifier)) {
        complaints.push(
          `${file.path}: core imports ${specifier}; only types and modules that compute are allowed there`
        )
      }
      if (specifier === "netsy") complaints.push(`${file.path}: imports netsy, which is this package`)
      continue
    }
    const target = resolveImport(file.path, specifier)
    if (!target.startsWith("src/")) {
      complaints.push(`${file.path}: src imports ${target}, which is outside src`)
      continue
    }
    if (target === "src/index.ts") {
      complaints.push(`${file.path}: imports ${target}, which is for others; import the file that has it`)
    }
    const typesForCore = typeOnly && rankOf(file.path) === 0 && rankOf(target) === 1
    if (rankOf(target) > rankOf(file.path) && !typesForCore) {
      complaints.push(`${file.path}: imports ${target}; imports go programs, layers, services, core and never back`)
    }
    const [own, other] = [layerOf(file.path), layerOf(target)]
    if (other !== undefined && own !== other && rankOf(file.path) === ranks.indexOf("layers")) {
      complaints.push(`${file.path}: a layer imports the layer ${other}; it must ask for the service instead`)
    }
  }
  return complaints
}

/** Where layers are given to layers: one place per program. */
export const compositionRoots: Readonly<Record<string, string>> = {
  "src/programs/node.ts": "the daemon, and the parts that the others share",
  "src/programs/etcdNode.ts": "netsy etcd",
  "src/programs/embed.ts": "a node inside another program",
  "src/programs/bucket.ts": "the subcommands, which have the bucket alone",
  "src/programs/verify.ts": "netsy verify, which also reads the bucket's history"
}

export const compositionComplaints = (file: SourceFile): ReadonlyArray<string> => {
  if (!file.path.startsWith("src/") || file.path in compositionRoots) return []
  const match = /\bLayer\.provide(?:Merge)?\b/.exec(withoutComments(file.text))
  return match === null
    ? []
    : [`${file.path}: ${match[0]}; layers compose in ${Object.keys(compositionRoots).join(", ")}`]
}

/** A service's id is its path, and services live in src/services. */
export const serviceIdComplaints = (file: SourceFile): ReadonlyArray<string> => {
  if (!file.path.startsWith("src/")) return []
  const code = withoutComments(file.text)
  const ids: Array<string> = []
  for (let at = code.indexOf("Context.Service<"); at !== -1; at = code.indexOf("Context.Service<", at + 1)) {
    ids.push(/>\(\)\(\s*"([^"]+)"/.exec(code.slice(at))?.[1] ?? "")
  }
  for (const match of code.matchAll(/Context\.Reference(?:<[^(]*>)?\(\s*"([^"]+)"/g)) ids.push(match[1] ?? "")
  if (ids.length > 0 && !file.path.startsWith("src/services/")) {
    return [`${file.path}: defines the service "${ids[0]}"; services are defined in src/services`]
  }
  const expected = `netsy/${file.path.replace(/^src\//, "").replace(/\.ts$/, "")}`
  return ids
    .filter((id) => id !== expected)
    .map((id) => `${file.path}: the service id "${id}" must equal its path, "${expected}"`)
}

export interface WordRule {
  readonly name: string
  readonly pattern: RegExp
  readonly applies: (path: string) => boolean
  readonly why: string
  /** Also looked for in comments and prose. */
  readonly inComments?: boolean
}

const inSource = (path: string): boolean => path.startsWith("src/")
const inCore = (path: string): boolean => path.startsWith("src/core/")
const inTests = (path: string): boolean => path.startsWith("test/")
const everywhere = (path: string): boolean => !path.startsWith("test/tidy/") && path !== "package-lock.json"

export const wordRules: ReadonlyArray<WordRule> = [
  {
    name: "unbounded",
    pattern: /\b(?:Queue|PubSub|Mailbox)\.(?:unbounded|make\(\s*\))/,
    applies: inSource,
    why: "every queue has a bound"
  },
  {
    name: "fork",
    pattern: /\bEffect\.(?:forkScoped|forkDetach|forkIn)\b/,
    applies: inSource,
    why: "long-running work goes through Supervisor.spawn, or its failure stays silent"
  },
  {
    name: "impure core",
    pattern:
      /\b(?:performance\.now|Date\.now|Math\.random|new Date\(\s*\)|setTimeout|setInterval|process\.(?:env|hrtime|exit))/,
    applies: inCore,
    why: "core knows no clock, chance, timer or environment"
  },
  {
    name: "any",
    pattern: /\bas any\b|@ts-ignore|@ts-nocheck/,
    applies: (path) => inSource(path) || (inTests(path) && everywhere(path)),
    why: "types are not switched off"
  },
  {
    name: "unfinished",
    pattern: /\b(?:TODO|FIXME|XXX)\b/,
    applies: everywhere,
    why: "what is not done is written into an issue",
    inComments: true
  },
  {
    name: "skipped test",
    pattern: /\b(?:it|test|describe)(?:\.\w+)*\.(?:skip|only|todo|fails|skipIf|runIf)\b/,
    applies: (path) => inTests(path) && everywhere(path),
    why: "a test runs or does not exist"
  },
  {
    name: "machine path",
    pattern: /(?:^|[\s"'`(=])\/(?:work|root|home\/\w+)\//m,
    applies: everywhere,
    why: "paths of one machine do not work on another",
    inComments: true
  },
  {
    name: "registry host",
    pattern: /\bregistry\.[a-z]+\.(?:org|com)|\bdeb\.debian\b/,
    applies: everywhere,
    why: "where packages come from is the machine's setting",
    inComments: true
  }
]

export interface Allowed {
  readonly path: string
  readonly rule: string
  readonly reason: string
}

export const wordComplaints = (file: SourceFile, allowed: ReadonlyArray<Allowed>): ReadonlyArray<string> => {
  const isCode = file.path.endsWith(".ts")
  const code = isCode ? withoutComments(file.text) : file.text
  return wordRules.flatMap((rule) => {
    if (!rule.applies(file.path)) return []
    if (allowed.some((one) => one.path === file.path && one.rule === rule.name)) return []
    const text = rule.inComments === true ? file.text : code
    const match = rule.pattern.exec(text)
    if (match === null) return []
    const line = text.slice(0, match.index).split("\n").length
    return [`${file.path}:${line}: "${match[0].trim()}": ${rule.why}`]
  })
}

export const lineLimit = 400

/** Files stay small enough to be one idea. */
export const sizeComplaints = (file: SourceFile, allowed: ReadonlyArray<Allowed>): ReadonlyArray<string> => {
  if (!file.path.startsWith("src/") || !file.path.endsWith(".ts")) return []
  if (allowed.some((one) => one.path === file.path && one.rule === "size")) return []
  const lines = file.text.split("\n").length - 1
  return lines > lineLimit ? [`${file.path}: ${lines} lines; more than ${lineLimit} are more than one idea`] : []
}
