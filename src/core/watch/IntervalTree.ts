/**
 * Which of many half-open ranges hold a key: an AVL tree over (begin, end) whose nodes know the highest end below
 * them. Equal ranges share a node, so a thousand watchers of one prefix cost one comparison.
 */
import { assert } from "../assert.ts"

interface Node<T> {
  readonly begin: string
  readonly end: string
  /** Highest `end` in this subtree. */
  maxEnd: string
  height: number
  left: Node<T> | undefined
  right: Node<T> | undefined
  values: Set<T>
}

const height = <T>(node: Node<T> | undefined): number => (node === undefined ? 0 : node.height)

const compare = <T>(begin: string, end: string, node: Node<T>): number =>
  begin < node.begin ? -1 : begin > node.begin ? 1 : end < node.end ? -1 : end > node.end ? 1 : 0

const update = <T>(node: Node<T>): void => {
  const { left, right } = node
  node.height = 1 + Math.max(height(left), height(right))
  let maxEnd = node.end
  if (left !== undefined && left.maxEnd > maxEnd) maxEnd = left.maxEnd
  if (right !== undefined && right.maxEnd > maxEnd) maxEnd = right.maxEnd
  node.maxEnd = maxEnd
}

const rotateRight = <T>(node: Node<T>): Node<T> => {
  const top = node.left!
  node.left = top.right
  top.right = node
  update(node)
  update(top)
  return top
}

const rotateLeft = <T>(node: Node<T>): Node<T> => {
  const top = node.right!
  node.right = top.left
  top.left = node
  update(node)
  update(top)
  return top
}

const balance = <T>(node: Node<T>): Node<T> => {
  update(node)
  const lean = height(node.left) - height(node.right)
  if (lean > 1) {
    if (height(node.left!.left) < height(node.left!.right)) node.left = rotateLeft(node.left!)
    return rotateRight(node)
  }
  if (lean < -1) {
    if (height(node.right!.right) < height(node.right!.left)) node.right = rotateRight(node.right!)
    return rotateLeft(node)
  }
  return node
}

const insert = <T>(node: Node<T> | undefined, begin: string, end: string, value: T): Node<T> => {
  if (node === undefined) {
    return { begin, end, maxEnd: end, height: 1, left: undefined, right: undefined, values: new Set([value]) }
  }
  const order = compare(begin, end, node)
  if (order === 0) {
    node.values.add(value)
    return node
  }
  if (order < 0) node.left = insert(node.left, begin, end, value)
  else node.right = insert(node.right, begin, end, value)
  return balance(node)
}

/** Takes the leftmost node out of a subtree; returns what is left of it. */
const removeFirst = <T>(node: Node<T>): Node<T> | undefined => {
  if (node.left === undefined) return node.right
  node.left = removeFirst(node.left)
  return balance(node)
}

const remove = <T>(node: Node<T> | undefined, begin: string, end: string, value: T): Node<T> | undefined => {
  assert(node !== undefined, "interval tree: removed a range that is not in it")
  const order = compare(begin, end, node)
  if (order < 0) {
    node.left = remove(node.left, begin, end, value)
    return balance(node)
  }
  if (order > 0) {
    node.right = remove(node.right, begin, end, value)
    return balance(node)
  }
  assert(node.values.delete(value), "interval tree: removed a value that is not in it")
  if (node.values.size > 0) return node
  if (node.left === undefined) return node.right
  if (node.right === undefined) return node.left
  let successor = node.right
  while (successor.left !== undefined) successor = successor.left
  successor.right = removeFirst(node.right)
  successor.left = node.left
  return balance(successor)
}

const collect = <T>(node: Node<T> | undefined, key: string, out: Array<T>): void => {
  if (node === undefined || node.maxEnd <= key) return
  collect(node.left, key, out)
  if (key < node.begin) return
  if (key < node.end) for (const value of node.values) out.push(value)
  collect(node.right, key, out)
}

export class IntervalTree<T> {
  #root: Node<T> | undefined

  add(begin: string, end: string, value: T): void {
    this.#root = insert(this.#root, begin, end, value)
  }

  /** Asserts that the value is there. */
  remove(begin: string, end: string, value: T): void {
    this.#root = remove(this.#root, begin, end, value)
  }

  /** Appends every value whose range holds `key`. */
  collect(key: string, out: Array<T>): void {
    collect(this.#root, key, out)
  }

  /** Levels of the tree, for tests of its balance. */
  get height(): number {
    return height(this.#root)
  }
}
