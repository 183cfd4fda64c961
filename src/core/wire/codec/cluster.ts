/** `etcdserverpb.Cluster/MemberList`. */
import type { Member, MemberListRequest, MemberListResponse, ResponseHeader } from "../messages.ts"
import type { Reader, Writer } from "../protobuf.ts"
import { decodeMessage, encodeMessage, nested, readHeader, writeHeader, writeNested } from "./common.ts"

const writeMember = (writer: Writer, member: Member): void => {
  writer.bigintField(1, member.id)
  writer.stringField(2, member.name)
  for (const url of member.peerUrls) writer.stringElement(3, url)
  for (const url of member.clientUrls) writer.stringElement(4, url)
  writer.boolField(5, member.isLearner)
}

const readMember = (reader: Reader): Member => {
  let id = 0n
  let name = ""
  const peerUrls: Array<string> = []
  const clientUrls: Array<string> = []
  let isLearner = false
  while (!reader.done()) {
    const tag = reader.tag()
    if (tag === 8) id = reader.uint64()
    else if (tag === 18) name = reader.string()
    else if (tag === 26) peerUrls.push(reader.string())
    else if (tag === 34) clientUrls.push(reader.string())
    else if (tag === 40) isLearner = reader.bool()
    else reader.unknown(tag, 5)
  }
  return { id, name, peerUrls, clientUrls, isLearner }
}

const writeMemberListRequest = (writer: Writer, request: MemberListRequest): void =>
  writer.boolField(1, request.linearizable)

const readMemberListRequest = (reader: Reader): MemberListRequest => {
  let linearizable = false
  while (!reader.done()) {
    const tag = reader.tag()
    if (tag === 8) linearizable = reader.bool()
    else reader.unknown(tag, 1)
  }
  return { linearizable }
}

const writeMemberListResponse = (writer: Writer, response: MemberListResponse): void => {
  writeNested(writer, 1, response.header, writeHeader)
  for (const member of response.members) writeNested(writer, 2, member, writeMember)
}

const readMemberListResponse = (reader: Reader): MemberListResponse => {
  let header: ResponseHeader | undefined
  const members: Array<Member> = []
  while (!reader.done()) {
    const tag = reader.tag()
    if (tag === 10) header = nested(reader, readHeader)
    else if (tag === 18) members.push(nested(reader, readMember))
    else reader.unknown(tag, 2)
  }
  return { header, members }
}

export const encodeMemberListRequest = (message: MemberListRequest) => encodeMessage(message, writeMemberListRequest)
export const decodeMemberListRequest = (bytes: Uint8Array) => decodeMessage(bytes, readMemberListRequest)
export const encodeMemberListResponse = (message: MemberListResponse) => encodeMessage(message, writeMemberListResponse)
export const decodeMemberListResponse = (bytes: Uint8Array) => decodeMessage(bytes, readMemberListResponse)
