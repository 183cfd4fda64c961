/** The `storage` group: provider, place, class and encryption. `--storage` and `NETSY_STORAGE` replace the place. */
import { posix } from "node:path"
import type { StorageSettings } from "../../services/Settings.ts"
import type { FileKey } from "./fields.ts"
import type { Reading } from "./reading.ts"
import { isBucketName, parseStorageWord, storageWordForms, withSlash } from "./storageWord.ts"

const classes = {
  s3: ["STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING"],
  gcs: ["STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"],
  directory: ["STANDARD"]
} as const

const placeKeys: ReadonlyArray<FileKey> = [
  "storage.provider",
  "storage.bucket_name",
  "storage.key_prefix",
  "storage.path"
]

export const resolveStorage = (
  reading: Reading,
  word: { readonly text: string; readonly source: string } | undefined,
  cwd: string
): StorageSettings => {
  const place = word === undefined ? placeOfKeys(reading, cwd) : placeOfWord(reading, word, cwd)
  return { ...place, ...treatment(reading, place.provider) }
}

type Place = Pick<StorageSettings, "provider" | "bucketName" | "keyPrefix" | "path">

const placeOfWord = (
  reading: Reading,
  word: { readonly text: string; readonly source: string },
  cwd: string
): Place => {
  const parsed = parseStorageWord(word.text)
  if (parsed === undefined) {
    reading.problems.push({
      key: "storage",
      value: JSON.stringify(word.text),
      allowed: storageWordForms,
      source: word.source
    })
    return { provider: "directory", bucketName: "", keyPrefix: "", path: cwd }
  }
  if (reading.choice("storage.provider") !== parsed.provider) {
    // Class and key belong to the provider of the file, which is not used.
    for (const key of ["storage.class", "storage.encryption", "storage.kms_key_id"] as const) reading.forget(key)
  }
  for (const key of placeKeys) reading.forget(key)
  return parsed.provider === "directory"
    ? { provider: "directory", bucketName: "", keyPrefix: "", path: posix.resolve(cwd, parsed.path) }
    : { ...parsed, path: "" }
}

const placeOfKeys = (reading: Reading, cwd: string): Place => {
  const provider = reading.choice("storage.provider")
  if (provider === "directory") {
    const path = reading.text("storage.path")
    if (path === "" || path.includes("\0")) reading.refuse("storage.path", "the path of a directory on a local disk")
    for (const key of ["storage.bucket_name", "storage.key_prefix"] as const) {
      if (reading.given(key) !== undefined)
        reading.warnings.push(`${key} has no effect with storage.provider directory`)
    }
    return { provider, bucketName: "", keyPrefix: "", path: path.includes("\0") ? cwd : posix.resolve(cwd, path) }
  }
  if (reading.given("storage.path") !== undefined) {
    reading.warnings.push(`storage.path has no effect with storage.provider ${provider}`)
  }
  const bucketName = reading.text("storage.bucket_name")
  if (!isBucketName(bucketName)) reading.refuse("storage.bucket_name", "the name of an existing bucket")
  return { provider, bucketName, keyPrefix: withSlash(reading.text("storage.key_prefix")), path: "" }
}

type Treatment = Pick<StorageSettings, "class" | "encryption" | "kmsKeyId">

const treatment = (reading: Reading, provider: StorageSettings["provider"]): Treatment => {
  const storageClass = reading.choice("storage.class", classes[provider])
  const encryption = reading.choice("storage.encryption")
  const kmsKeyId = reading.text("storage.kms_key_id")
  if (encryption === "customer-managed") {
    if (provider === "directory") reading.refuse("storage.encryption", "provider-managed (a directory has no keys)")
    else if (kmsKeyId === "")
      reading.refuse("storage.kms_key_id", "the id of the key, because storage.encryption is customer-managed")
  }
  return { class: storageClass, encryption, kmsKeyId }
}
