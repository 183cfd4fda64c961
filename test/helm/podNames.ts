/**
 * Loaded into a daemon by `NODE_OPTIONS=--import`: names of pods resolve as the headless service would have it, by the JSON object
 * in `POD_ADDRESSES`. Everything else resolves as always.
 */
import dns, { type LookupAddress, type LookupOptions } from "node:dns"
import { syncBuiltinESMExports } from "node:module"

type Callback = (error: Error | null, address: string | Array<LookupAddress>, family?: number) => void

const addresses = new Map(Object.entries(JSON.parse(process.env["POD_ADDRESSES"] ?? "{}") as Record<string, string>))
const real = dns.lookup as (name: string, options: LookupOptions, callback: Callback) => void

const lookup = (name: string, given: LookupOptions | number | Callback, then?: Callback): void => {
  const callback = typeof given === "function" ? given : then!
  const options = typeof given === "function" ? {} : typeof given === "number" ? { family: given } : given
  const address = addresses.get(name)
  if (address === undefined) return real(name, options, callback)
  process.nextTick(() => (options.all === true ? callback(null, [{ address, family: 4 }]) : callback(null, address, 4)))
}

Object.assign(dns, { lookup })
syncBuiltinESMExports()
