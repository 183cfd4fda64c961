/** How much free space a database keeps after a compaction: giving back what the next writes take again is work for nothing. */

const keepFreeBytesMin = 1024 * 1024
const keepFreeShare = 8

export const keepFreeBytes = (inUseBytes: number): number =>
  Math.max(keepFreeBytesMin, Math.floor(inUseBytes / keepFreeShare))
