/** The licences of everything that the executables contain, as one text. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { nodePackage } from "./packages.ts"
import { nodeVersion, read, root } from "./project.ts"

const licenseFile = /^(?:licen[cs]e|copying|notice)(?:[.-].*)?$/i

const textsIn = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder)
    .filter((name) => licenseFile.test(name))
    .toSorted()
    .map((name) => readFileSync(join(folder, name), "utf8").trim())

const section = (title: string, texts: ReadonlyArray<string>): string =>
  `${"=".repeat(80)}\n${title}\n${"=".repeat(80)}\n\n${texts.join("\n\n")}\n\n`

/** `folders`: packages, relative to the project. */
export const licenses = (folders: ReadonlyArray<string>): string => {
  const parts = [
    section("netsy", [read("LICENSE").trim()]),
    section(`Node.js ${nodeVersion()}`, textsIn(nodePackage(`linux-${process.arch}`)))
  ]
  for (const folder of folders) {
    if (!existsSync(join(root, folder, "package.json"))) continue
    const { license, name, version } = JSON.parse(read(join(folder, "package.json"))) as Record<string, string>
    parts.push(section(`${name} ${version} (${license})`, textsIn(join(root, folder))))
  }
  return parts.join("")
}
