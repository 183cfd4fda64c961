/** Codecs of what a node asks the Primary for its clients, and of whose a token is. */
import { bytes, message, type Message, repeated, string } from "../codec/message.ts"
import { count, optionalBytes, optionalText, packedIds, packedNumbers } from "./fields.ts"
import type {
  ForwardAnswer,
  ForwardRequest,
  KeepAliveAnswer,
  KeepAliveRequest,
  ReadIndexAnswer,
  TokenAnswer,
  TokenRequest
} from "./messages.ts"

const pair = message("Pair", { name: string(1), value: string(2) })

/** One name and value of the caller's metadata. */
const metadataPair: Pick<Message<readonly [string, string]>, "read" | "write"> = {
  read: (reader) => {
    const { name, value } = pair.read(reader)
    return [name, value]
  },
  write: (writer, [name, value]) => pair.write(writer, { name, value })
}

const readIndexAnswer: Message<ReadIndexAnswer> = message("ReadIndexAnswer", { term: count(1), index: count(2) })

const forwardRequest: Message<ForwardRequest> = message("ForwardRequest", {
  method: string(1),
  request: bytes(2),
  identity: optionalText(3),
  commonName: optionalText(4),
  metadata: repeated(5, metadataPair)
})

const forwardAnswer: Message<ForwardAnswer> = message("ForwardAnswer", {
  response: optionalBytes(1),
  code: count(2),
  message: string(3),
  index: count(4)
})

const keepAliveRequest: Message<KeepAliveRequest> = message("KeepAliveRequest", { leases: packedIds(1) })

const keepAliveAnswer: Message<KeepAliveAnswer> = message("KeepAliveAnswer", {
  revision: count(1),
  term: count(2),
  ttls: packedNumbers(3)
})

const tokenRequest: Message<TokenRequest> = message("TokenRequest", { token: string(1) })

const tokenAnswer: Message<TokenAnswer> = message("TokenAnswer", { user: string(1), authRevision: count(2) })

export const { encode: encodeReadIndexAnswer, decode: decodeReadIndexAnswer } = readIndexAnswer
export const { encode: encodeForwardRequest, decode: decodeForwardRequest } = forwardRequest
export const { encode: encodeForwardAnswer, decode: decodeForwardAnswer } = forwardAnswer
export const { encode: encodeKeepAliveRequest, decode: decodeKeepAliveRequest } = keepAliveRequest
export const { encode: encodeKeepAliveAnswer, decode: decodeKeepAliveAnswer } = keepAliveAnswer
export const { encode: encodeTokenRequest, decode: decodeTokenRequest } = tokenRequest
export const { encode: encodeTokenAnswer, decode: decodeTokenAnswer } = tokenAnswer
