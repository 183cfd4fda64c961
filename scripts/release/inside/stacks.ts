/** Stack traces of a crash name the source files: the map is read when there is something to say, and not before. */
import { SourceMap } from "node:module"
import { getRawAsset } from "node:sea"
import { brotliDecompressSync } from "node:zlib"

const frame = /\b(netsy(?:-worker)?\.js):(\d+):(\d+)/g

const readMap = (script: string): SourceMap => {
  const packed = new Uint8Array(getRawAsset(`${script}.map`))
  return new SourceMap(JSON.parse(brotliDecompressSync(packed).toString()))
}

/** `netsy.js:1200:7` becomes `src/layers/X.ts:12:7`; a place that the map does not know stays. */
export const withSources = (stack: string): string => {
  const maps = new Map<string, SourceMap>()
  return stack.replaceAll(frame, (place, script: string, line: string, column: string) => {
    const map = maps.get(script) ?? readMap(script)
    maps.set(script, map)
    const origin = map.findOrigin(Number(line), Number(column))
    return "fileName" in origin
      ? `${origin.fileName.replace(/^(?:\.\.\/)+/, "")}:${origin.lineNumber}:${origin.columnNumber}`
      : place
  })
}

export const nameSourcesInCrashes = (): void => {
  process.on("uncaughtExceptionMonitor", (error: unknown) => {
    if (!(error instanceof Error) || error.stack === undefined) return
    try {
      error.stack = withSources(error.stack)
    } catch {
      // The crash itself is what has to be seen.
    }
  })
}
