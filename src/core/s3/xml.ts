/** The little XML that S3 speaks: a writer that escapes, and a reader for request bodies (no DTD, no namespaces). */

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "\r": "&#13;"
}

const escapeXml = (text: string): string => text.replace(/[&<>"\r]/g, (character) => escapes[character]!)

/** Content of an element: text, or children by name in order. */
export type XmlContent = string | ReadonlyArray<readonly [name: string, content: XmlContent]>

const writeElement = (name: string, content: XmlContent, attributes: string): string => {
  const inner =
    typeof content === "string"
      ? escapeXml(content)
      : content.map(([child, childContent]) => writeElement(child, childContent, "")).join("")
  return `<${name}${attributes}>${inner}</${name}>`
}

/** A whole document. `namespace` becomes `xmlns` of the root. */
export const writeXml = (name: string, content: XmlContent, namespace?: string): string => {
  const attributes = namespace === undefined ? "" : ` xmlns="${escapeXml(namespace)}"`
  return `<?xml version="1.0" encoding="UTF-8"?>\n${writeElement(name, content, attributes)}`
}

export interface XmlElement {
  /** Without namespace prefix. */
  readonly name: string
  readonly text: string
  readonly children: ReadonlyArray<XmlElement>
}

/** A request body is not the XML it should be. */
export class MalformedXml extends Error {
  override readonly name = "MalformedXml"
}

/** Deep nesting is an attack, not a request. */
const depthMax = 16

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" }

const unescapeXml = (text: string): string =>
  text.replace(/&([^;&]*);?/g, (whole, body: string) => {
    const known = entities[body]
    if (known !== undefined && whole.endsWith(";")) return known
    const number = /^#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}))$/.exec(body)
    const code =
      number === null ? Number.NaN : Number.parseInt(number[1] ?? number[2]!, number[1] === undefined ? 10 : 16)
    if (!(code <= 0x10ffff) || !whole.endsWith(";")) throw new MalformedXml(`unknown entity "${whole}"`)
    return String.fromCodePoint(code)
  })

interface OpenElement {
  readonly name: string
  text: string
  readonly children: Array<XmlElement>
}

// One markup item or one run of text. Every alternative consumes at least one character and none can backtrack far.
const token =
  /<\?[^>]*\?>|<!--[^]*?-->|<!\[CDATA\[([^]*?)\]\]>|<\/([^\s<>/]+)\s*>|<([^\s<>/!?]+)((?:\s[^<>]*?)?)(\/?)>|([^<]+)/y

const localName = (name: string): string => name.slice(name.indexOf(":") + 1)

/** The root element. Attributes are ignored. Throws `MalformedXml`. */
export const readXml = (source: string): XmlElement => {
  const open: Array<OpenElement> = []
  let root: XmlElement | undefined
  const close = (): void => {
    const done = open.pop()!
    const parent = open.at(-1)
    if (parent === undefined) root = done
    else parent.children.push(done)
  }
  let offset = source.charCodeAt(0) === 0xfeff ? 1 : 0
  while (offset < source.length) {
    token.lastIndex = offset
    const match = token.exec(source)
    if (match === null) throw new MalformedXml(`unexpected markup at character ${offset}`)
    offset = token.lastIndex
    const [, cdata, closing, opening, , selfClosing, text] = match
    const current = open.at(-1)
    if (opening !== undefined) {
      if (root !== undefined) throw new MalformedXml("more than one root element")
      if (open.length === depthMax) throw new MalformedXml(`nested deeper than ${depthMax}`)
      open.push({ name: localName(opening), text: "", children: [] })
      if (selfClosing === "/") close()
    } else if (closing !== undefined) {
      if (current === undefined || current.name !== localName(closing)) {
        throw new MalformedXml(`unexpected </${closing}> at character ${offset}`)
      }
      close()
    } else if (text !== undefined || cdata !== undefined) {
      if (current !== undefined) current.text += cdata ?? unescapeXml(text!)
      else if ((cdata ?? text!).trim() !== "") throw new MalformedXml("text outside of the root element")
    }
  }
  if (root === undefined || open.length > 0) throw new MalformedXml("the document ends too early")
  return root
}

export const child = (element: XmlElement, name: string): XmlElement | undefined =>
  element.children.find((candidate) => candidate.name === name)

export const childText = (element: XmlElement, name: string): string | undefined => child(element, name)?.text
