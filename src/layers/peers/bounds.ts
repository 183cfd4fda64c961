/** What every peer network keeps to. */

/** The longest message, bytes. */
export const messageBytesMax = 16 << 20
/** `send` of a stream returns false while more waits. */
export const bufferBytesMax = 4 << 20
/** A stream whose sender goes on all the same is broken. */
export const bufferBytesLimit = 64 << 20
/** Calls that one node may have under way to another; streams count too. */
export const callsMax = 10_000
/** Every so often each side of a connection in use asks whether the other is there … */
export const tickMillis = 500
/** … and after so many ticks without a sign of life the connection is broken: within 2 s. */
export const silentTicksMax = 3
