/** Where the executable begins: under which name it was started, and what its user wrote. */
import { basename } from "node:path"
import { main } from "../../../src/programs/main.ts"
import { nameSourcesInCrashes } from "./stacks.ts"

nameSourcesInCrashes()

// Node puts the executable's path before the arguments, as it does with a script's; argv0 is what was really called.
void main(basename(process.argv0), process.argv.slice(2))
