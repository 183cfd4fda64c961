/** Reads the instructions of a Containerfile: as much of the language as ours uses. */

export interface Instruction {
  readonly name: string
  readonly flags: Readonly<Record<string, string>>
  /** What follows the flags; an array for the form with brackets. */
  readonly words: ReadonlyArray<string>
}

const withVariables = (text: string, variables: Readonly<Record<string, string>>): string =>
  text.replaceAll(/\$\{(\w+)\}/g, (whole, name: string) => variables[name] ?? whole)

/** `given`: the arguments of the build, over the defaults of ARG. */
export const instructionsOf = (text: string, given: Readonly<Record<string, string>>): ReadonlyArray<Instruction> => {
  const variables: Record<string, string> = {}
  return text
    .replaceAll(/^\s*#.*\n/gm, "")
    .replaceAll("\\\n", " ")
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const [name = "", ...rest] = withVariables(line.trim(), variables).split(/\s+/)
      const flags = Object.fromEntries(
        rest.filter((word) => word.startsWith("--")).map((word) => word.slice(2).split("=", 2) as [string, string])
      )
      const plain = rest.filter((word) => !word.startsWith("--"))
      if (name === "ARG") {
        const [argument = "", standard = ""] = plain[0]!.split("=", 2)
        variables[argument] = given[argument] ?? standard
      }
      const words = plain[0]?.startsWith("[") === true ? (JSON.parse(plain.join(" ")) as ReadonlyArray<string>) : plain
      return { name, flags, words }
    })
}
