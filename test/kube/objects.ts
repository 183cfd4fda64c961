/** The objects that are written: three kinds with the sizes they have in a real cluster. Seeded, so a run repeats. */
import { seededRandom } from "../../src/programs/dev-s3/faults.ts"

export const kinds = ["pods", "leases", "events"] as const
export type Kind = (typeof kinds)[number]

/** Bytes of a value. */
const sizes: Record<Kind, readonly [least: number, most: number]> = {
  pods: [8 * 1024, 10 * 1024],
  leases: [450, 550],
  events: [900, 1200]
}

export const prefixOf = (kind: Kind): string => `/registry/${kind}/`

const bytesOf = (text: string): Buffer => Buffer.from(text, "latin1")

export const prefixEnd = (prefix: string): Buffer => {
  const end = bytesOf(prefix)
  end[end.length - 1]!++
  return end
}

/** `k8s\0`, which begins every object that is stored as protobuf. */
const magic = "k8s\0"
const words =
  "metadata namespace default containers image imagePullPolicy status phase Running conditions lastTransitionTime "

/** Values that compress about as real ones do: words, and an eighth of it random. */
export class Objects {
  readonly random: () => number
  readonly #filling: Buffer
  #written = 0

  constructor(seed: number) {
    this.random = seededRandom(seed)
    const pieces = Array.from({ length: 600 }, () =>
      this.random() < 0.5
        ? words.slice(Math.floor(this.random() * 60), 60 + Math.floor(this.random() * 50))
        : Math.floor(this.random() * 2 ** 32).toString(16)
    )
    this.#filling = bytesOf(pieces.join(""))
  }

  below(count: number): number {
    return Math.floor(this.random() * count)
  }

  key(kind: Kind, n: number): Buffer {
    const namespace = kind === "leases" ? "kube-node-lease" : `namespace-${n % 7}`
    return bytesOf(`${prefixOf(kind)}${namespace}/${kind.slice(0, -1)}-${n.toString(36).padStart(8, "0")}`)
  }

  /** No two are equal. */
  value(kind: Kind): Buffer {
    const [least, most] = sizes[kind]
    const bytes = Buffer.alloc(least + this.below(most - least))
    const head = bytes.write(`${magic}${kind} ${++this.#written} `, "latin1")
    for (let at = head; at < bytes.length;) {
      const from = this.below(this.#filling.length - 256)
      at += this.#filling.copy(bytes, at, from, from + 256)
    }
    return bytes
  }
}
