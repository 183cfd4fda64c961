/** The commit that this program was built from: the release build puts it here; who runs the sources looks into git. */
export const commit: string | undefined = undefined
