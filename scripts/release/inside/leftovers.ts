/** What a process left that was killed between writing a native library and removing it. */
import { lstatSync, readdirSync, rmSync } from "node:fs"
import { join } from "node:path"

export const prefix = ".netsy-native-"
const leftoverMillis = 60 * 60 * 1000

/**
 * Own directories only. In a place that everybody can write to, whoever made a directory could put links into it while it is
 * being removed, and root would follow them.
 */
export const removeLeftovers = (place: string, user: number = process.geteuid!()): void => {
  for (const name of readdirSync(place)) {
    if (!name.startsWith(prefix)) continue
    const path = join(place, name)
    try {
      const found = lstatSync(path)
      const isOurs = found.isDirectory() && found.uid === user
      if (isOurs && Date.now() - found.mtimeMs > leftoverMillis) rmSync(path, { recursive: true })
    } catch {
      // Gone already.
    }
  }
}
