/** `Settings` that were resolved and checked before (src/core/config), or made by hand in a test. */
import { Layer } from "effect"
import { Settings, type SettingsShape } from "../services/Settings.ts"

/** These settings, as they are: nothing is checked any more. */
export const layer = (settings: SettingsShape): Layer.Layer<Settings> => Layer.succeed(Settings, Settings.of(settings))
