/** Events as the client sees them (rules W10, W11, W12) and the split of big responses (rule W9). */
import { emptyBytes, type LogRecord } from "../log/record.ts"
import { type Event, EventType, type KeyValue, type ResponseHeader, type WatchResponse } from "../wire/messages.ts"

export const keyValueOf = (record: LogRecord): KeyValue => ({
  key: record.key,
  createRevision: record.createRevision,
  modRevision: record.revision,
  version: record.version,
  value: record.value,
  lease: record.lease
})

/** A DELETE carries only the key and its revision. */
export const eventOf = (record: LogRecord, prevKv: KeyValue | undefined): Event =>
  record.deleted
    ? {
        type: EventType.Delete,
        kv: {
          key: record.key,
          createRevision: 0,
          modRevision: record.revision,
          version: 0,
          value: emptyBytes,
          lease: 0n
        },
        prevKv
      }
    : { type: EventType.Put, kv: keyValueOf(record), prevKv }

/** A response of the given kind; everything not named is absent. */
export const responseOf = (
  header: ResponseHeader,
  watchId: bigint,
  rest: Partial<Omit<WatchResponse, "header" | "watchId">>
): WatchResponse => ({
  header,
  watchId,
  created: false,
  canceled: false,
  compactRevision: 0,
  cancelReason: "",
  fragment: false,
  events: [],
  ...rest
})

const varintBytes = (value: number): number => {
  let bytes = 1
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++
  return bytes
}
/** One byte of tag and the number; nothing for 0, as proto3 leaves it out. */
const numberBytes = (value: number): number => (value === 0 ? 0 : 1 + varintBytes(value))
const lengthDelimited = (length: number): number => 1 + varintBytes(length) + length

const keyValueBytes = (kv: KeyValue): number =>
  (kv.key.length === 0 ? 0 : lengthDelimited(kv.key.length)) +
  numberBytes(kv.createRevision) +
  numberBytes(kv.modRevision) +
  numberBytes(kv.version) +
  (kv.value.length === 0 ? 0 : lengthDelimited(kv.value.length)) +
  (kv.lease === 0n ? 0 : 1 + varintBytes(Number(BigInt.asUintN(64, kv.lease))))

/** Bytes that an event takes inside an encoded response. */
export const eventBytes = (event: Event): number =>
  lengthDelimited(
    numberBytes(event.type) +
      lengthDelimited(keyValueBytes(event.kv)) +
      (event.prevKv === undefined ? 0 : lengthDelimited(keyValueBytes(event.prevKv)))
  )

/** More than header, ids and flags of an encoded response can take. */
const frameBytes = 96

/**
 * Rule W9: pieces of less than `maxBytes` each (a piece with one event may be bigger), `fragment` on all but the
 * last. A response that fits comes back as it is.
 */
export const fragmentsOf = (response: WatchResponse, maxBytes: number): ReadonlyArray<WatchResponse> => {
  const pieces: Array<WatchResponse> = []
  let events: Array<Event> = []
  let bytes = frameBytes
  for (const event of response.events) {
    const more = eventBytes(event)
    if (events.length > 0 && bytes + more >= maxBytes) {
      pieces.push({ ...response, events, fragment: true })
      events = []
      bytes = frameBytes
    }
    events.push(event)
    bytes += more
  }
  if (pieces.length === 0) return [response]
  pieces.push({ ...response, events, fragment: false })
  return pieces
}
