import { walkSuite } from "./walkSuite.ts"

walkSuite({
  over: "three nodes",
  cluster: true,
  fixedSeeds: [2, 3],
  virtualSeconds: Number(process.env["NETSY_SIM_VIRTUAL_SECONDS"] ?? "120"),
  longSeconds: Number(process.env["NETSY_SIM_SECONDS"] ?? "0"),
  repeat: (seed) => `make sim SEED=${seed}`
})
