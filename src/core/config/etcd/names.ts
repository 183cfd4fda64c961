/** Names that etcd allows and Netsy's own rule does not: made into identifiers that stay different. */
import { fnv1a64 } from "../../election/registry.ts"
import { isIdentifier } from "../identifier.ts"

const stemLengthMax = 23

/** An identifier stays as it is; from anything else a readable stem and eight digits of its hash. */
export const identifierOf = (name: string): string => {
  if (isIdentifier(name)) return name
  const stem = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, stemLengthMax)
    .replace(/^-+|-+$/g, "")
  const hash = fnv1a64(name).toString(16).padStart(16, "0").slice(0, 8)
  return stem === "" ? `etcd-${hash}` : `${stem}-${hash}`
}

export type MembersResult =
  | { readonly ok: true; readonly members: ReadonlyMap<string, ReadonlyArray<string>> }
  | { readonly ok: false; readonly reason: string }

/** `--initial-cluster`: `a=http://10.0.0.1:2380,b=http://10.0.0.2:2380`. */
export const parseInitialCluster = (text: string): MembersResult => {
  const members = new Map<string, Array<string>>()
  for (const pair of text.split(",")) {
    const equals = pair.indexOf("=")
    if (equals <= 0) return { ok: false, reason: `${JSON.stringify(pair.slice(0, 120))} is not of the form name=url` }
    const name = pair.slice(0, equals).trim()
    const urls = members.get(name) ?? []
    urls.push(pair.slice(equals + 1).trim())
    members.set(name, urls)
  }
  return { ok: true, members }
}
