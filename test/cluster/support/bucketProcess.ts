/** dev-s3 as a program that takes its faults as messages while it runs: `bucketProcess.ts ADDRESS FOLDER BUCKET SEED`. */
import { startDevS3 } from "../../../src/programs/dev-s3/server.ts"
import type { Faults } from "../../../src/programs/dev-s3/faults.ts"

const [addr = "127.0.0.1:0", dir = "", bucket = "", seed = "1"] = process.argv.slice(2)
const server = await startDevS3({ addr, dir, bucket, seed: Number(seed) })
process.on("message", (faults) => Object.assign(server.faults, faults as Partial<Faults>))
process.on("disconnect", () => process.exit(0))
process.send!({ url: server.url })
