/** The files that `make release` has built. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

export const project = fileURLToPath(new URL("../../..", import.meta.url)).replace(/\/$/, "")
export const released = join(project, "dist/release")

export const executable = (machine: "amd64" | "arm64"): string => {
  const file = join(released, `netsy-linux-${machine}`)
  if (!existsSync(file)) throw new Error(`${file} is missing: make release`)
  return file
}

/** The one for the machine that tests. */
export const ownExecutable = (): string => executable(process.arch === "arm64" ? "arm64" : "amd64")
