/** In place of koffi's first module, which looks for its native part in node_modules. */
import { addon } from "./addons.ts"

export default addon("koffi")
