/** Writes the generated parts of docs/: `make reference`. test/docs fails when they are not up to date. */
import { readFileSync, writeFileSync } from "node:fs"
import { generated, parts } from "./parts.ts"

for (const path of Object.keys(parts)) {
  const file = new URL(`../../${path}`, import.meta.url)
  const before = readFileSync(file, "utf8")
  const after = generated(path, before)
  if (after !== before) writeFileSync(file, after)
  console.log(`${path}: ${after === before ? "is up to date" : "written"}`)
}
