/** What the test and the program of its cloud agree on. */
export interface CloudOptions {
  readonly host: string
  readonly folder: string
  readonly bucket: string
  /** The file with the role's policy. */
  readonly policy: string
  /** What is downloaded, whatever the path. */
  readonly release: string
  /** The release's SHA512SUMS. */
  readonly sums: string
}

export const ports = { s3: 4566, downloads: 8000 }
export const metadataHost = "169.254.169.254"
