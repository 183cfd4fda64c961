/** Storage in one word: `dir:PATH`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`. */

export const storageWordForms = "dir:PATH, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX"

export type StorageWord =
  | { readonly provider: "directory"; readonly path: string }
  | { readonly provider: "s3" | "gcs"; readonly bucketName: string; readonly keyPrefix: string }

/** Undefined: none of the forms. */
export const parseStorageWord = (word: string): StorageWord | undefined => {
  if (word.startsWith("dir:")) {
    const path = word.slice(4)
    return path === "" || path.includes("\0") ? undefined : { provider: "directory", path }
  }
  const match = /^(s3|gs):\/\/([^/]+)\/?(.*)$/s.exec(word)
  if (match === null) return undefined
  const [, scheme = "", bucketName = "", prefix = ""] = match
  if (!isBucketName(bucketName)) return undefined
  return { provider: scheme === "s3" ? "s3" : "gcs", bucketName, keyPrefix: withSlash(prefix) }
}

/** Access point ARNs count as names too, so only what no store accepts is refused. */
export const isBucketName = (name: string): boolean => /^[A-Za-z0-9][A-Za-z0-9._:/-]*$/.test(name) && name.length <= 255

export const withSlash = (prefix: string): string => (prefix === "" || prefix.endsWith("/") ? prefix : `${prefix}/`)
