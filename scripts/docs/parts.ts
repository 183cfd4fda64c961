/** Which parts of which pages are generated, and from what. */
import { withPart } from "./markdown.ts"
import { eventTables } from "./events.ts"
import { metricTables } from "./metrics.ts"
import { aloneTable, etcdFlagsTable, fileKeyTables, nodeFlagsTable, nodeVariablesTable } from "./settings.ts"

export const parts: Readonly<Record<string, Readonly<Record<string, () => string>>>> = {
  "docs/configuration.md": {
    flags: nodeFlagsTable,
    "one node without a file": aloneTable,
    "variables of the node": nodeVariablesTable,
    "keys of the cluster file": fileKeyTables
  },
  "docs/observability.md": { ...metricTables, "log events": eventTables },
  "docs/etcd-mode.md": { "all flags": etcdFlagsTable }
}

/** The page as it should be. */
export const generated = (path: string, page: string): string =>
  Object.entries(parts[path] ?? {}).reduce((text, [name, make]) => withPart(text, name, make()), page)
