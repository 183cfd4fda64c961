/** Who a certificate says its holder is: `netsy://{cluster_id}/{role}/{name}` (netsy-1x.md 13.1). */
import type { IdentityCheck, Role } from "../../services/Identity.ts"
import { identifierRule, isIdentifier } from "../config/identifier.ts"
import { parseSubjectAltName } from "./subjectAltName.ts"

const refused = (reason: string): IdentityCheck => ({ ok: false, reason })

/** What others sent goes into logs: short, and without line breaks. */
const shown = (text: string): string => JSON.stringify(text.length > 120 ? `${text.slice(0, 117)}...` : text)

/** The first URI SAN with the scheme `netsy` decides; when it is wrong, later ones are not tried. */
export const identityOf = (subjectAltName: string | undefined, clusterId: string, wanted: Role): IdentityCheck => {
  const names = parseSubjectAltName(subjectAltName ?? "")
  if (names === undefined) return refused("the certificate's subject alternative names cannot be read")
  const uri = names.find(({ type, value }) => type === "URI" && /^netsy:/i.test(value))?.value
  const form = `netsy://${clusterId}/${wanted}/NAME`
  if (uri === undefined) return refused(`the certificate has no URI name ${form}`)

  const match = /^netsy:\/\/([^/?#]*)\/([^/?#]*)\/([^/?#]*)$/i.exec(uri)
  if (match === null) return refused(`the certificate's URI name ${shown(uri)} is not of the form ${form}`)
  const [, cluster = "", role = "", encodedName = ""] = match
  if (cluster !== clusterId) return refused(`the certificate is for cluster ${shown(cluster)}, this is ${clusterId}`)
  if (role !== "client" && role !== "peer")
    return refused(`the certificate's role ${shown(role)} is neither client nor peer`)
  const name = decoded(encodedName)
  if (name === undefined || name === "") return refused(`the certificate's URI name ${shown(uri)} has no valid name`)
  if (role === "peer" && !isIdentifier(name))
    return refused(`the peer name ${shown(name)} is not allowed (${identifierRule})`)
  if (role !== wanted) return refused(`the certificate's role is ${role}; this port is for role ${wanted}`)
  return { ok: true, role, name }
}

const decoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
