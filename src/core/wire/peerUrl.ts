/** Peer URLs as etcd's member requests take them: a scheme it knows, host and port, nothing else. */
export const isPeerUrl = (text: string): boolean => {
  if (/^unixs?:\/\/./.test(text)) return true
  const match = /^https?:\/\/(\[[0-9a-fA-F:.%]+\]|[^/:@?#\s[\]]*):(\d{1,5})\/?$/.exec(text)
  return match !== null && Number(match[2]) <= 65_535
}
