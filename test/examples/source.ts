/** Loaded before an example: the package's name stands for the sources, as in somebody's project for the compiled package. */
import { registerHooks } from "node:module"

const url = new URL("../../src/index.ts", import.meta.url).href

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === "netsy" ? { url, shortCircuit: true } : next(specifier, context)
})
