/**
 * The file format of bbolt, etcd's storage engine, as far as a file is written here: numbered pages of one size, two
 * checksummed meta pages, B+trees of branch and leaf pages. All numbers are little-endian. Fixed for good.
 */

/** Also on machines with larger memory pages: a reader takes the size from the meta page. */
export const pageBytes = 4096
export const pageHeaderBytes = 16
/** Of a leaf's or a branch's element, in front of keys and values. */
export const elementBytes = 16

export const PageFlag = { branch: 0x01, leaf: 0x02, meta: 0x04, freelist: 0x10 } as const
/** Of a leaf's element whose value is a bucket. */
export const bucketFlag = 0x01

export const keyBytesMax = 32_768

/** Pages 0 and 1 are meta pages, 2 is the list of free pages, which is empty; data begins here. */
export const firstDataPage = 3
const freelistPage = 2

const magic = 0xed0cdaed
const version = 2
const metaChecksumAt = 56
const two32 = 4294967296

export const setUint64 = (view: DataView, at: number, value: number): void => {
  view.setUint32(at, value % two32, true)
  view.setUint32(at + 4, Math.floor(value / two32), true)
}

export const setPageHeader = (
  view: DataView,
  at: number,
  page: { readonly id: number; readonly flags: number; readonly count: number; readonly overflow: number }
): void => {
  setUint64(view, at, page.id)
  view.setUint16(at + 8, page.flags, true)
  view.setUint16(at + 10, page.count, true)
  view.setUint32(at + 12, page.overflow, true)
}

/** A bucket as the value of its element: the root page of its tree, and a sequence that etcd does not use. */
export const bucketValue = (rootPage: number): Uint8Array => {
  const value = new Uint8Array(16)
  setUint64(new DataView(value.buffer), 0, rootPage)
  return value
}

const fnv1a64 = (bytes: Uint8Array): bigint => {
  let hash = 0xcbf29ce484222325n
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n)
  return hash
}

/** The pages in front of the data: both meta pages point at the same tree, so either is as good as the other. */
export const headPages = (rootPage: number, pageCount: number): Uint8Array => {
  const head = new Uint8Array(firstDataPage * pageBytes)
  const view = new DataView(head.buffer)
  for (const id of [0, 1]) {
    const at = id * pageBytes
    setPageHeader(view, at, { id, flags: PageFlag.meta, count: 0, overflow: 0 })
    const meta = at + pageHeaderBytes
    view.setUint32(meta, magic, true)
    view.setUint32(meta + 4, version, true)
    view.setUint32(meta + 8, pageBytes, true)
    setUint64(view, meta + 16, rootPage)
    setUint64(view, meta + 32, freelistPage)
    setUint64(view, meta + 40, pageCount)
    // The transaction's number; meta page n holds those that are n modulo 2, and the higher one counts.
    setUint64(view, meta + 48, 2 - id)
    view.setBigUint64(meta + metaChecksumAt, fnv1a64(head.subarray(meta, meta + metaChecksumAt)), true)
  }
  setPageHeader(view, freelistPage * pageBytes, { id: freelistPage, flags: PageFlag.freelist, count: 0, overflow: 0 })
  return head
}
