/** Addresses of members as URLs, for MemberList. A registration holds one address without its scheme. */
import type { SettingsShape } from "../../services/Settings.ts"

type Urls = (address: string, own: boolean) => ReadonlyArray<string>

/** This node's own as the flags of etcd say them; the others' with the scheme that this node's own have. */
export const advertisedUrls = ({ etcd, tls }: SettingsShape): { readonly client: Urls; readonly peer: Urls } => {
  const scheme = tls === undefined ? "http" : "https"
  const of =
    (given: ReadonlyArray<string> | undefined): Urls =>
    (address, own) => {
      if (own && given !== undefined) return given
      return [`${given?.[0]?.startsWith("https:") === true ? "https" : scheme}://${address}`]
    }
  return { client: of(etcd?.advertiseClientUrls), peer: of(etcd?.advertisePeerUrls) }
}
