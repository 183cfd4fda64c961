/**
 * Names of everything that can be set: keys of the cluster file, variables of the node. Each key of the file has a
 * variable of its own: `NETSY_` + its path in capitals, `.` as `_`. What they mean stands in settingTable.ts and
 * nodeVariables.ts.
 */
import { nodeVariableTable } from "./nodeVariables.ts"
import { type FileKey, groupTable, settingTable } from "./settingTable.ts"

export type { FileKey } from "./settingTable.ts"
export type { NodeVariable } from "./nodeVariables.ts"

export const fileKeys: ReadonlyArray<FileKey> = settingTable.map(({ key }) => key)

export const fileGroups: ReadonlyArray<string> = Object.keys(groupTable)

export const variableOf = (key: FileKey): string => `NETSY_${key.toUpperCase().replaceAll(".", "_")}`

/** What a node knows about itself; not in the cluster file. */
export const nodeVariables = nodeVariableTable.map(({ name }) => name)

export const allVariables: ReadonlyArray<string> = [...nodeVariables, ...fileKeys.map(variableOf)]
