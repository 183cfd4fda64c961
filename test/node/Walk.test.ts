import { walkSuite } from "./walkSuite.ts"

walkSuite({
  over: "whole nodes",
  cluster: false,
  fixedSeeds: [1, 2, 3, 4, 5, 6, 7],
  virtualSeconds: Number(process.env["NETSY_WALK_VIRTUAL_SECONDS"] ?? "60"),
  longSeconds: Number(process.env["NETSY_WALK_SECONDS"] ?? "0"),
  repeat: (seed) => `NETSY_SEED=${seed} make test ARGS=test/node/Walk.test.ts`
})
