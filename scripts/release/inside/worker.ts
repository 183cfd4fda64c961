/** The thread that touches the database, as an asset of its own. */
import "../../../src/layers/localstore/worker.ts"
