/** What a row of the table of settings says, by the type of its value. */

interface Described {
  readonly key: string
  readonly about: string
  readonly also?: string
}

interface TextSetting extends Described {
  readonly type: "text"
  readonly fallback?: string
  readonly alone?: string
}

interface ChoiceSetting extends Described {
  readonly type: "choice"
  readonly fallback: string
  readonly allowed: ReadonlyArray<string>
}

export interface IntegerSetting extends Described {
  readonly type: "integer"
  readonly unit: string
  readonly fallback: number
  readonly alone?: number
  readonly min?: number
  readonly max?: number
  /** Go's zero value means "not given" for the settings of Netsy 1.x that have a default. */
  readonly zeroIsFallback?: true
}

/** Durations as in Go. */
export interface DurationSetting extends Described {
  readonly type: "duration"
  readonly fallback?: string
  readonly alone?: string
  /** In place of a default that the node works out. */
  readonly usually?: string
  readonly bounds:
    | { readonly above: string }
    | { readonly min: string; readonly max?: string }
    | { readonly wholeSecondsMin: string }
    /** Any; 0 and what is negative means this. */
    | { readonly zero: string }
}

interface SwitchSetting extends Described {
  readonly type: "switch"
  readonly fallback: boolean
}

/** A duration or an integer, as another setting says. */
interface EitherSetting extends Described {
  readonly type: "either"
  readonly usually: string
}

export type Setting = TextSetting | ChoiceSetting | IntegerSetting | DurationSetting | SwitchSetting | EitherSetting
