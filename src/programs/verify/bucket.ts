/** The bucket's half of `netsy verify`: every object is whole, and a reader finds one history (design 6.7, I4, I5, I7). */
import { Effect } from "effect"
import { type Arbiter, arbiterKey, decodeArbiter } from "../../core/election/arbiter.ts"
import { decodeLock, lockKey } from "../../core/election/lock.ts"
import { decodeMembers, decodeRegistration, membersKey, type Registration } from "../../core/election/registry.ts"
import { type Finding, finding, type LeftOver } from "../../core/verify/findings.ts"
import { layout } from "../../core/verify/objects.ts"
import { leftOverFinding, type Registry, registryFindings } from "../../core/verify/registry.ts"
import { Revisions } from "../../core/verify/Revisions.ts"
import type { BucketHistory } from "../../services/History.ts"
import { ObjectStore } from "../../services/ObjectStore.ts"
import { walk } from "./history.ts"
import { listAll, type ObjectsRead, readObjects } from "./objects.ts"
import type { Progress } from "./progress.ts"

export interface BucketFacts {
  readonly findings: ReadonlyArray<Finding>
  readonly leftOver: ReadonlyArray<LeftOver>
  readonly arbiter: Arbiter | undefined
  /** Undefined: no reader can find one. */
  readonly history: BucketHistory | undefined
  readonly lastRevision: number
  /** At the end of the history. */
  readonly floor: number
  /** From behind the floor of the path's snapshot on. */
  readonly revisions: Revisions
}

const subject = "bucket"

/** A small object through its decoder, which answers with a sentence when something is wrong. */
const small = <A>(key: string, decodeIt: (bytes: Uint8Array) => A | string) =>
  Effect.gen(function* () {
    const store = yield* ObjectStore
    return yield* store.get(key).pipe(
      Effect.map(({ body }) => decodeIt(body)),
      Effect.catchTag("NotFound", () => Effect.succeed(undefined))
    )
  })

const readNodes = Effect.gen(function* () {
  const nodes = new Map<string, Registration | string>()
  for (const { key } of yield* listAll("nodes/")) {
    const found = yield* small(key, decodeRegistration)
    if (found !== undefined) nodes.set(key, found)
  }
  return nodes
})

/** Where the nodes are. What cannot be read is `verifyBucket`'s to tell. */
export const readRegistrations = Effect.map(readNodes, (nodes) =>
  [...nodes.values()].filter((one) => typeof one !== "string")
)

const objectsFinding = ({ damaged, files, strange, vanished }: ObjectsRead): Finding => {
  const total = files.length + damaged.length
  const more = [
    ...(vanished === 0 ? [] : [`${vanished} were deleted meanwhile`]),
    ...(strange.length === 0 ? [] : [`${strange.length} not named as data files, first ${strange[0]}`])
  ]
  const [first] = damaged
  return finding(
    subject,
    "every object is readable",
    first && `${damaged.length} of ${total} are not, first ${first.problem}`,
    [`${total} chunks and snapshots`, ...more].join("; ")
  )
}

/** Objects and their headers, then the history in them, then the small objects (later ones may know more). */
export const verifyBucket = (progress: Progress, passes: number, say: (line: string) => void) =>
  Effect.gen(function* () {
    const objects = yield* readObjects(progress, passes, say)
    const { highest, leftOver, path, problem } = layout(objects.files)
    const findings: Array<Finding> = [objectsFinding(objects)]
    findings.push(
      finding(subject, "headers fit their contents and each other", problem, `${objects.files.length} files`)
    )
    const tellsAll = path.kind === "path" && path.snapshot?.old !== true
    const walked = yield* walk(tellsAll).pipe(
      Effect.map((value) => ({ value, broken: undefined })),
      Effect.catchTag("HistoryBroken", (error) => Effect.succeed({ value: undefined, broken: error.message }))
    )
    findings.push(
      finding(
        subject,
        "a reader finds the history",
        walked.broken,
        walked.value?.history.snapshot?.key ?? "from index 1"
      )
    )
    if (walked.value !== undefined) {
      const { check, history } = walked.value
      const end = history.last
      const short =
        check.index === end.index ? undefined : `the entries end at ${check.index}, the path at index ${end.index}`
      const detail = `index ${(history.snapshot?.last.index ?? 0) + 1} … ${check.index}, term ${check.term}, revision ${check.revision}, floor ${check.floor}`
      findings.push(
        finding(subject, "it is contiguous, revisions dense, the floor never back", check.problem ?? short, detail)
      )
      findings.push(leftOverFinding(leftOver))
    }
    const registry: Registry = {
      members: yield* small(membersKey, decodeMembers),
      nodes: yield* readNodes,
      lock: yield* small(lockKey, decodeLock),
      arbiter: yield* small(arbiterKey, decodeArbiter)
    }
    const { arbiter } = registry
    findings.push(...registryFindings(registry, highest.term > 0))
    if (typeof arbiter === "object") {
      const above = highest.term > arbiter.term ? `${highest.key} is of term ${highest.term}, ` : undefined
      const detail = `highest ${highest.term}, arbiter ${arbiter.term}`
      const wrong = above && `${above}the arbiter of ${arbiter.term}`
      findings.push(finding(subject, "no header is of a later term than the arbiter's", wrong, detail))
    }
    return {
      findings,
      leftOver,
      arbiter: typeof arbiter === "object" ? arbiter : undefined,
      history: walked.value?.history,
      lastRevision: walked.value?.check.revision ?? 0,
      floor: walked.value?.check.floor ?? 0,
      revisions: walked.value?.check.revisions ?? new Revisions()
    } satisfies BucketFacts
  })
