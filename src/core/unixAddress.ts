/** The address of a Unix socket as the kernel takes it: a family in two bytes, then a path, or a name after a zero. */

/** `sun_path` holds 108 bytes. */
const pathBytesMax = 107
const family = 1

/** Undefined: not a path or name (`/run/…`, `@name`) that fits. */
export const unixAddress = (text: string, littleEndian: boolean): Uint8Array | undefined => {
  if (!/^[/@]/.test(text) || text.includes("\0")) return undefined
  const path = new TextEncoder().encode(text)
  if (path.length > pathBytesMax) return undefined
  const isAbstract = text.startsWith("@")
  const address = new Uint8Array(2 + path.length + (isAbstract ? 0 : 1))
  new DataView(address.buffer).setUint16(0, family, littleEndian)
  address.set(path, 2)
  // The first byte of a name that is in no directory is zero; a path ends with one.
  if (isAbstract) address[2] = 0
  return address
}
