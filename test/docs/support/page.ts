/** A Markdown file taken apart: links, anchors, what stands in backticks, code blocks. GitHub's rules for anchors. */
import type { Node, Nodes, Parents } from "mdast"
import { fromMarkdown } from "mdast-util-from-markdown"

export interface Block {
  /** First word after the fence; empty for blocks without one. */
  readonly language: string
  /** The words after it. */
  readonly words: ReadonlyArray<string>
  readonly text: string
  /** Of the text's first line. */
  readonly line: number
}

export interface Page {
  /** Relative to the project, with `/`. */
  readonly path: string
  readonly links: ReadonlyArray<{ readonly url: string; readonly line: number }>
  readonly anchors: ReadonlySet<string>
  readonly codes: ReadonlyArray<{ readonly text: string; readonly line: number }>
  readonly blocks: ReadonlyArray<Block>
}

const textOf = (node: Nodes): string =>
  "value" in node ? node.value : "children" in node ? (node.children as ReadonlyArray<Nodes>).map(textOf).join("") : ""

const slugOf = (heading: string): string =>
  heading
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\p{M}_ -]/gu, "")
    .replaceAll(" ", "-")

const lineOf = (node: Node): number => node.position?.start.line ?? 0

export const parsePage = (path: string, text: string): Page => {
  const links: Array<Page["links"][number]> = []
  const codes: Array<Page["codes"][number]> = []
  const blocks: Array<Block> = []
  const anchors = new Set<string>()
  const walk = (node: Nodes): void => {
    if (node.type === "link" || node.type === "image" || node.type === "definition") {
      links.push({ url: node.url, line: lineOf(node) })
    } else if (node.type === "inlineCode") codes.push({ text: node.value, line: lineOf(node) })
    else if (node.type === "code") {
      const words = (node.meta ?? "").split(/\s+/).filter((word) => word !== "")
      const end = node.position?.end.line ?? 0
      const fenced = end - lineOf(node) + 1 > node.value.split("\n").length
      blocks.push({ language: node.lang ?? "", words, text: node.value, line: lineOf(node) + (fenced ? 1 : 0) })
    } else if (node.type === "html") {
      for (const [, id] of node.value.matchAll(/\b(?:id|name)="([^"]+)"/g)) anchors.add(id ?? "")
    } else if (node.type === "heading") {
      const slug = slugOf(textOf(node))
      let unique = slug
      for (let i = 1; anchors.has(unique); i++) unique = `${slug}-${i}`
      anchors.add(unique)
    }
    if ("children" in node) for (const child of (node as Parents).children) walk(child)
  }
  walk(fromMarkdown(text))
  return { path, links, anchors, codes, blocks }
}
