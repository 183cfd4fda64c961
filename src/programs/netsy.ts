/** The program as its sources run: turns the compile cache on before anything large is loaded, half of the start. */
import { enableCompileCache } from "node:module"
import { basename } from "node:path"

enableCompileCache()
const { main } = await import("./main.ts")

/** bin/netsy says under which name it was started. */
const startedAs = process.env["NETSY_STARTED_AS"] ?? basename(process.argv[1] ?? "")
delete process.env["NETSY_STARTED_AS"]
await main(startedAs, process.argv.slice(2))
