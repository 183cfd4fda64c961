/** The program and its thread, each as one script without imports from files. */
import { join } from "node:path"
import { build, type Plugin } from "esbuild"
import { root } from "./project.ts"

const inside = (name: string): string => join(root, "scripts/release/inside", name)
const fromPackage = (name: string): string => join(root, "node_modules", name)

/** What looks for files at run time, and what stands there instead. */
const replaced: ReadonlyArray<{ readonly asked: RegExp; readonly by: string }> = [
  { asked: /^\.\/localstore\/thread\.ts$/, by: inside("thread.ts") },
  { asked: /^better-sqlite3$/, by: inside("sqlite.ts") },
  { asked: /^better-sqlite3\/lib\/database\.js$/, by: fromPackage("better-sqlite3/lib/database.js") },
  { asked: /^better-sqlite3\/lib\/sqlite-error\.js$/, by: fromPackage("better-sqlite3/lib/sqlite-error.js") },
  // Its main file asks for its parts in a way that no bundler sees.
  { asked: /^jsonc-parser$/, by: fromPackage("jsonc-parser/lib/esm/main.js") },
  { asked: /^koffi$/, by: inside("koffi.ts") },
  { asked: /^node-gyp-build$/, by: inside("bcrypt.cjs") }
]

const replacing: Plugin = {
  name: "what the executable has instead",
  setup(setup) {
    for (const { asked, by } of replaced) setup.onResolve({ filter: asked }, () => ({ path: by }))
  }
}

/** The commit is put where the sources have none. */
const stamped = (commit: string): Plugin => ({
  name: "the commit",
  setup(setup) {
    setup.onLoad({ filter: /\/src\/core\/commit\.ts$/ }, () => ({
      contents: `export const commit = ${JSON.stringify(commit)}`
    }))
  }
})

export interface Bundle {
  readonly script: Uint8Array
  readonly map: Uint8Array
  /** Folders of the packages that are in it, relative to the project. */
  readonly packages: ReadonlyArray<string>
}

/** `entry` is a path in the project. */
export const bundle = async (entry: string, name: string, commit: string): Promise<Bundle> => {
  const result = await build({
    absWorkingDir: root,
    entryPoints: [join(root, entry)],
    outfile: join(root, "dist/release", name),
    write: false,
    bundle: true,
    // Names in it are those of this folder, wherever node_modules really is.
    preserveSymlinks: true,
    platform: "node",
    format: "cjs",
    target: "node24",
    // One byte a letter, which is what the launcher reads.
    charset: "ascii",
    banner: { js: "(function(require){" },
    footer: { js: "})" },
    // Packages ask where they are to find files of theirs that are not needed, and not there.
    define: { __dirname: '"/netsy"', __filename: '"/netsy/netsy.js"' },
    sourcemap: "external",
    sourcesContent: false,
    metafile: true,
    legalComments: "none",
    logLevel: "error",
    // Coloured output of a debugging helper, which does without.
    external: ["supports-color"],
    plugins: [replacing, stamped(commit)]
  })
  const output = (ending: string): Uint8Array => result.outputFiles.find(({ path }) => path.endsWith(ending))!.contents
  const packages = new Set<string>()
  for (const input of Object.keys(result.metafile.inputs)) {
    const found = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)
    if (found !== null) packages.add(found[1]!)
  }
  return { script: output(name), map: output(`${name}.map`), packages: [...packages].toSorted() }
}
