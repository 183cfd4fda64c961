/** How a protobuf field is laid out: the low three bits of its tag. Groups (3 and 4) do not exist in proto3. */
export const WireType = { Varint: 0, Fixed64: 1, Bytes: 2, Fixed32: 5 } as const
