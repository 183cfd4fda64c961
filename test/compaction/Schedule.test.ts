/** When automatic compactions are due, without a clock. */
import { assert, describe, it } from "@effect/vitest"
import { keepFreeBytes } from "../../src/core/compaction/space.ts"
import {
  IntervalSchedule,
  PeriodicSchedule,
  RevisionSchedule,
  type Schedule
} from "../../src/core/compaction/schedule.ts"

const minute = 60_000
const hour = 60 * minute

interface Done {
  readonly atMinutes: number
  readonly revision: number
}

/** Drives a schedule for so long; the store is at revision 1 + one a minute. `fails` are attempts that fail. */
const drive = (schedule: Schedule, minutes: number, fails: ReadonlyArray<number> = []): ReadonlyArray<Done> => {
  const done: Array<Done> = []
  let attempts = 0
  let floor = 0
  for (let now = schedule.tickMillis; now <= minutes * minute; now += schedule.tickMillis) {
    const current = 1 + Math.floor(now / minute)
    const revision = schedule.tick({ revision: current, floor, minWatchRevision: current + 1 })
    if (revision === undefined || fails.includes(attempts++)) continue
    schedule.done(revision)
    floor = revision
    done.push({ atMinutes: now / minute, revision })
  }
  return done
}

describe("automatic compaction by periods", () => {
  it("C5: with a retention of an hour runs every hour and keeps what is younger than an hour", () => {
    assert.deepStrictEqual(drive(new PeriodicSchedule(hour, 1), 250), [
      { atMinutes: 60, revision: 1 },
      { atMinutes: 120, revision: 55 },
      { atMinutes: 180, revision: 115 },
      { atMinutes: 240, revision: 175 }
    ])
  })

  it("C5: with a retention of a day waits for a day, then runs every hour, always a day behind", () => {
    const done = drive(new PeriodicSchedule(24 * hour, 1), 28 * 60)
    assert.deepStrictEqual(
      done.map(({ atMinutes }) => atMinutes),
      [24, 25, 26, 27, 28].map((hours) => hours * 60)
    )
    for (const { atMinutes, revision } of done) assert.isAtMost(revision, 1 + atMinutes - 24 * 60)
  })

  it("C5: with a retention below an hour runs every retention", () => {
    const done = drive(new PeriodicSchedule(10 * minute, 1), 45)
    assert.deepStrictEqual(
      done.map(({ atMinutes }) => atMinutes),
      [10, 20, 30, 40]
    )
    for (const { atMinutes, revision } of done) assert.isAtMost(revision, 1 + atMinutes - 10)
  })

  it("tries what failed again after a tenth of the period, with what is then old enough", () => {
    assert.deepStrictEqual(drive(new PeriodicSchedule(hour, 1), 140, [0, 1]), [
      { atMinutes: 72, revision: 7 },
      { atMinutes: 132, revision: 67 }
    ])
  })

  it("does not ask twice for the same revision while nothing is written", () => {
    const schedule = new PeriodicSchedule(10 * minute, 7)
    const asked: Array<number> = []
    for (let tick = 0; tick < 100; tick++) {
      const revision = schedule.tick({ revision: 7, floor: 0, minWatchRevision: 8 })
      if (revision === undefined) continue
      asked.push(revision)
      schedule.done(revision)
    }
    assert.deepStrictEqual(asked, [7])
  })
})

describe("automatic compaction by revisions", () => {
  it("C5: every five minutes keeps the last so many revisions", () => {
    const schedule = new RevisionSchedule(10)
    assert.strictEqual(schedule.tickMillis, 5 * minute)
    assert.deepStrictEqual(drive(schedule, 20), [
      { atMinutes: 10, revision: 1 },
      { atMinutes: 15, revision: 6 },
      { atMinutes: 20, revision: 11 }
    ])
  })

  it("tries a failed one again five minutes later and asks for nothing when nothing was written", () => {
    const done = drive(new RevisionSchedule(10), 16, [0])
    assert.deepStrictEqual(done, [{ atMinutes: 15, revision: 6 }])
    const schedule = new RevisionSchedule(10)
    assert.strictEqual(schedule.tick({ revision: 30, floor: 0, minWatchRevision: 31 }), 20)
    schedule.done(20)
    assert.isUndefined(schedule.tick({ revision: 30, floor: 20, minWatchRevision: 31 }))
    assert.strictEqual(schedule.tick({ revision: 31, floor: 20, minWatchRevision: 32 }), 21)
  })
})

describe("compaction by interval", () => {
  it("keeps one interval of history", () => {
    assert.deepStrictEqual(drive(new IntervalSchedule(5 * minute, 1), 21), [
      { atMinutes: 5, revision: 1 },
      { atMinutes: 10, revision: 6 },
      { atMinutes: 15, revision: 11 },
      { atMinutes: 20, revision: 16 }
    ])
  })

  it("stays below what the slowest watch needs next, and follows when it has caught up", () => {
    const schedule = new IntervalSchedule(5 * minute, 100)
    assert.strictEqual(schedule.tick({ revision: 200, floor: 0, minWatchRevision: 41 }), 40)
    assert.isUndefined(schedule.tick({ revision: 300, floor: 40, minWatchRevision: 41 }))
    assert.isUndefined(schedule.tick({ revision: 400, floor: 40, minWatchRevision: 7 }))
    assert.strictEqual(schedule.tick({ revision: 400, floor: 40, minWatchRevision: 401 }), 400)
    assert.isUndefined(schedule.tick({ revision: 400, floor: 400, minWatchRevision: 401 }))
  })

  it("never proposes at or above a watch's position, at or below the floor, or above the revision, whatever comes", () => {
    let state = 7
    const below = (bound: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return Math.floor((state / 2 ** 32) * bound)
    }
    for (let run = 0; run < 200; run++) {
      let revision = 1 + below(50)
      let floor = 0
      let proposals = 0
      const schedule = new IntervalSchedule(minute, revision)
      let before = revision
      for (let step = 0; step < 30; step++) {
        revision += below(20)
        const minWatchRevision = below(3) === 0 ? floor + below(revision + 2 - floor) : revision + 1
        const proposed = schedule.tick({ revision, floor, minWatchRevision })
        if (proposed !== undefined) {
          proposals++
          assert.isBelow(proposed, minWatchRevision)
          assert.isAbove(proposed, floor)
          assert.isAtMost(proposed, before)
          if (below(4) > 0) floor = proposed
        }
        before = revision
      }
      assert.isAbove(proposals, 0)
    }
  })

  it("has ticks that fit a timer", () => {
    assert.isBelow(new IntervalSchedule(400 * 24 * hour, 1).tickMillis, 2 ** 31)
    assert.isBelow(new PeriodicSchedule(400 * 24 * hour, 1).tickMillis, hour)
    assert.isAtLeast(new IntervalSchedule(0.000_001, 1).tickMillis, 100)
    assert.isAtLeast(new PeriodicSchedule(1, 1).tickMillis, 100)
  })
})

describe("free space after a compaction", () => {
  it("an eighth of what is in use stays free, at least a mebibyte", () => {
    assert.strictEqual(keepFreeBytes(0), 1_048_576)
    assert.strictEqual(keepFreeBytes(80_000_000), 10_000_000)
  })
})
