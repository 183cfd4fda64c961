import { assert, describe, it } from "@effect/vitest"
import { beginningJson, decodeStatus, type Heard, statusJson } from "../../src/core/status/document.ts"
import { showBytes, showMillis, statusTable } from "../../src/core/status/table.ts"
import { arbiterOf, nameOf, stateOf } from "../cluster-view/states.ts"
import { reportOf } from "./reports.ts"

const at = "2026-11-21T02:29:14.123Z"
const voters = ["a", "b", "c"].map(nameOf)
const quorum = arbiterOf({ term: 7, primary: nameOf("b"), mode: "quorum", voters, required: 1 })

const shown = (...input: Parameters<typeof statusJson>): string =>
  // As it comes out of the network.
  `\n${statusTable(decodeStatus(JSON.stringify(statusJson(...input))) as Exclude<ReturnType<typeof decodeStatus>, string>).join("\n")}\n`

describe("netsy status", () => {
  it("shows a healthy cluster in mode quorum", () => {
    const heard = new Map<string, Heard>([
      [
        "b",
        reportOf("b", {
          primary: "active",
          bufferedBytes: 3_500,
          lastSnapshotIndex: 1_000,
          lastChunkIndex: 1_200
        })
      ],
      ["c", reportOf("c", { lagEntries: 12, lagMillis: 240, last: { index: 1_192, term: 7 }, commitIndex: 1_192 })]
    ])
    assert.strictEqual(
      shown({
        clusterId: "dev-cluster",
        self: reportOf("a", { elector: "leader" }),
        at,
        state: stateOf({ arbiter: quorum }),
        heard
      }),
      `
Cluster:  dev-cluster, as a sees it
Elector:  a
Primary:  b
Term:     7
Mode:     quorum (the Primary and 1 of 2 other voters; voters: a, b, c)

NODE  HEALTH   ROLE                     LAST  COMMITTED  REVISION  LAG          TERM  VERSION  CLIENTS
a     healthy  replica, voter, Elector  1204  1204       1190      none         7     2.0.0    a:2378
b     healthy  active, voter            1204  1204       1190      -            7     2.0.0    b:2378
c     healthy  replica, voter           1192  1192       1190      12 (240 ms)  7     2.0.0    c:2378

Bucket: everything up to index 1200 is stored; 4 entries wait, 3.4 KiB; last snapshot 1000, last chunk 1200
`
    )
  })

  it("shows who does not answer, what is waited for and what is wrong", () => {
    const heard = new Map<string, Heard>([
      ["b", { unreachable: "connect ECONNREFUSED 10.0.0.2:2381" }],
      ["c", reportOf("c", { health: "degraded", troubles: ["the bucket has not answered for 12 s"] })]
    ])
    assert.strictEqual(
      shown({
        clusterId: "dev-cluster",
        self: reportOf("a", { elector: "leader", waitingFor: "c/c-disk to answer", waitingMillis: -1 }),
        at,
        state: stateOf({ arbiter: { ...quorum, recovered: { term: 5, index: 900 } } }),
        heard
      }),
      `
Cluster:    dev-cluster, as a sees it
Elector:    a
Primary:    b (unreachable)
Term:       7
Mode:       quorum (the Primary and 1 of 2 other voters; voters: a, b, c)
Recovered:  with possible loss, in term 5, of entries from index 900 on

NODE  HEALTH       ROLE                     LAST  COMMITTED  REVISION  LAG   TERM  VERSION  CLIENTS
a     healthy      replica, voter, Elector  1204  1204       1190      none  7     2.0.0    a:2378
b     unreachable  -                        -     -          -         -     -     -        b:2378
c     degraded     replica, voter           1204  1204       1190      none  7     2.0.0    c:2378

Bucket: everything up to index 1200 is stored; last snapshot none, last chunk none

Waiting:
  a: c/c-disk to answer (as long as it takes)

Troubles:
  b: does not answer: connect ECONNREFUSED 10.0.0.2:2381
  c: the bucket has not answered for 12 s
`
    )
  })

  it("shows a lone node in mode store that waits for a lease", () => {
    assert.strictEqual(
      shown({
        clusterId: "dev-cluster",
        self: reportOf("a", {
          primary: "starting",
          health: "loading",
          waitingFor: "the lease of b/b-disk, Primary of term 1, to end",
          waitingMillis: 3_200
        }),
        at,
        state: stateOf({ nodes: [] }),
        heard: new Map()
      }),
      `
Cluster:  dev-cluster, as a sees it
Elector:  a
Primary:  a (starting)
Term:     1
Mode:     store (a write is acknowledged when it is in the bucket)

NODE  HEALTH   ROLE      LAST  COMMITTED  REVISION  LAG  TERM  VERSION  CLIENTS
a     loading  starting  1204  1204       1190      -    7     2.0.0    a:2378

Bucket: everything up to index 1200 is stored; last snapshot none, last chunk none

Waiting:
  a: the lease of b/b-disk, Primary of term 1, to end (4 s more)
`
    )
  })

  it("shows a node that is not registered yet", () => {
    const json = beginningJson({
      clusterId: "dev-cluster",
      nodeId: "a",
      peerAddress: "a:2381",
      clientAddress: "a:2378",
      version: "2.0.0",
      at,
      health: "loading",
      elector: "follower",
      primary: "replica",
      waitingFor: "the bucket: GET members.json: timeout",
      waitingMillis: -1,
      troubles: []
    })
    assert.strictEqual(
      `\n${statusTable(json).join("\n")}\n`,
      `
Cluster:  dev-cluster, as a sees it
Elector:  not known
Primary:  none yet
Term:     -
Mode:     -

NODE  HEALTH   ROLE     LAST  COMMITTED  REVISION  LAG  TERM  VERSION  CLIENTS
a     loading  replica  -     -          -         -    -     2.0.0    a:2378

Waiting:
  a: the bucket: GET members.json: timeout (as long as it takes)
`
    )
  })

  it("prints sizes and times that a person can read", () => {
    assert.deepStrictEqual([0, 1_023, 1_024, 3_500, 5 << 20, 200 << 20, 3 * 2 ** 30].map(showBytes), [
      "0 B",
      "1023 B",
      "1.0 KiB",
      "3.4 KiB",
      "5.0 MiB",
      "200 MiB",
      "3.0 GiB"
    ])
    assert.deepStrictEqual([0, 999.4, 1_000, 119_000, 125_000, 3 * 3_600_000].map(showMillis), [
      "0 ms",
      "999 ms",
      "1 s",
      "119 s",
      "2 min 5 s",
      "3 h 0 min"
    ])
  })

  it("says when an answer is not the status of a node", () => {
    assert.include(decodeStatus("<html>"), "not JSON")
    assert.include(decodeStatus("[]"), "not the status")
    assert.include(decodeStatus("null"), "not the status")
  })
})
