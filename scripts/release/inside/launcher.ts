/** Runs an asset as a program. The first thing that Node runs is this text, and so is the first of the thread. */

/** One line, so that the lines of the program are its own. */
const launch = (asset: string): string =>
  `const {getRawAsset}=require("node:sea");` +
  `new (require("node:vm").Script)(Buffer.from(getRawAsset(${JSON.stringify(asset)})).latin1Slice(),` +
  `{filename:${JSON.stringify(asset)}}).runInThisContext()(require)\n`

export const mainLauncher = launch("netsy.js")
export const workerLauncher = launch("netsy-worker.js")
