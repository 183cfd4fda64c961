/** Everything that nodes say to each other, as bytes and back. Decoders throw `MalformedMessage`; bytes in what they return are views. */
export * from "./cluster.ts"
export { encodeEntries } from "./entries.ts"
export * from "./follow.ts"
export * from "./forward.ts"
export { decodeFenceAnswer, decodeFenceRequest, decodeNodeReport } from "./report.ts"
export { encodeFenceAnswer, encodeFenceRequest, encodeNodeReport } from "./report.ts"
