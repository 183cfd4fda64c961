/**
 * A pull parser for JSON text. Unlike `JSON.parse` it keeps every digit of a number (64-bit ids), leaves unknown values
 * unbuilt, and says where and why a text is refused.
 */

/** The text is not JSON, or not the JSON that was asked for. */
export class BadJson extends Error {
  override readonly name = "BadJson"
}

/** Values inside each other: 100 nested Txns (object, array and object each) and what they hold. */
const maxDepth = 320

const numberPattern = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y

const Char = {
  Quote: 0x22,
  Comma: 0x2c,
  Minus: 0x2d,
  Zero: 0x30,
  Nine: 0x39,
  Colon: 0x3a,
  OpenBracket: 0x5b,
  Backslash: 0x5c,
  CloseBracket: 0x5d,
  OpenBrace: 0x7b,
  CloseBrace: 0x7d
} as const

export type JsonKind = "object" | "array" | "string" | "number" | "true" | "false" | "null"

export class JsonReader {
  readonly text: string
  position = 0
  #depth = 0

  constructor(text: string) {
    this.text = text
  }

  fail(reason: string, position = this.position): never {
    throw new BadJson(`JSON at character ${position + 1}: ${reason}`)
  }

  #space(): void {
    for (;;) {
      const char = this.text.charCodeAt(this.position)
      if (char !== 0x20 && char !== 0x0a && char !== 0x0d && char !== 0x09) return
      this.position++
    }
  }

  /** True when nothing but white space is left. */
  done(): boolean {
    this.#space()
    return this.position >= this.text.length
  }

  /** What the next value is, without reading it. */
  kind(): JsonKind {
    this.#space()
    const char = this.text.charCodeAt(this.position)
    if (char === Char.Quote) return "string"
    if (char === Char.OpenBrace) return "object"
    if (char === Char.OpenBracket) return "array"
    if (char === Char.Minus || (char >= Char.Zero && char <= Char.Nine)) return "number"
    for (const word of ["true", "false", "null"] as const) {
      if (this.text.startsWith(word, this.position)) return word
    }
    return this.#unexpected()
  }

  #unexpected(): never {
    if (this.position >= this.text.length) this.fail("unexpected end")
    this.fail(`unexpected ${JSON.stringify(this.text[this.position])}`)
  }

  #take(char: number): void {
    this.#space()
    if (this.text.charCodeAt(this.position) !== char) this.#unexpected()
    this.position++
  }

  #takes(char: number): boolean {
    this.#space()
    if (this.text.charCodeAt(this.position) !== char) return false
    this.position++
    return true
  }

  /** Reads the word that `kind` found. */
  word(kind: "true" | "false" | "null"): void {
    this.position += kind.length
  }

  /** Digits as they stand. */
  number(): string {
    this.#space()
    numberPattern.lastIndex = this.position
    const match = numberPattern.exec(this.text)
    if (match === null) this.#unexpected()
    this.position = numberPattern.lastIndex
    return match[0]
  }

  string(): string {
    const start = this.#string()
    const source = this.text.slice(start, this.position)
    let value: string
    try {
      value = JSON.parse(source) as string
    } catch {
      return this.fail("a string with a control character or an escape that does not exist", start)
    }
    if (!value.isWellFormed()) this.fail("a string with half a surrogate pair", start)
    return value
  }

  /** Goes behind a string; returns where it starts. */
  #string(): number {
    this.#take(Char.Quote)
    const start = this.position - 1
    for (let from = this.position; ;) {
      const end = this.text.indexOf('"', from)
      if (end === -1) this.fail("a string without an end", start)
      let slashes = end
      while (this.text.charCodeAt(slashes - 1) === Char.Backslash) slashes--
      from = end + 1
      if ((end - slashes) % 2 === 1) continue
      this.position = from
      return start
    }
  }

  /** Calls `member` with each name, to read its value. */
  object(member: (name: string) => void): void {
    this.#take(Char.OpenBrace)
    this.#enter()
    if (!this.#takes(Char.CloseBrace)) {
      do {
        this.#space()
        const name = this.string()
        this.#take(Char.Colon)
        member(name)
      } while (this.#takes(Char.Comma))
      this.#take(Char.CloseBrace)
    }
    this.#depth--
  }

  /** Calls `element` at each element, to read it. */
  array(element: () => void): void {
    this.#take(Char.OpenBracket)
    this.#enter()
    if (!this.#takes(Char.CloseBracket)) {
      do element()
      while (this.#takes(Char.Comma))
      this.#take(Char.CloseBracket)
    }
    this.#depth--
  }

  #enter(): void {
    if (++this.#depth > maxDepth) this.fail(`more than ${maxDepth} values inside each other`)
  }

  /** Passes over a value, which must be right nevertheless. */
  skip(): void {
    const kind = this.kind()
    switch (kind) {
      case "object":
        return this.object(() => this.skip())
      case "array":
        return this.array(() => this.skip())
      case "string":
        this.string()
        return
      case "number":
        this.number()
        return
      default:
        this.word(kind)
    }
  }
}
