/** Throws when an invariant does not hold. Stays on in production: a wrong node is worse than one that is down. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantViolation(message)
}

/** A programming error or corrupted state: never handled, ends the process through the Supervisor. */
export class InvariantViolation extends Error {
  override readonly name = "InvariantViolation"
}
