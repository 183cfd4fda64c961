/** Modules of packages that have no types of their own. */
declare module "better-sqlite3/lib/database.js" {
  const create: (
    addon: () => unknown,
    allowNativeBinding: boolean
  ) => new (filename?: unknown, options?: unknown) => object
  export default create
}
declare module "better-sqlite3/lib/sqlite-error.js" {
  const SqliteError: new (message: string, code: string) => Error
  export default SqliteError
}
declare module "postject" {
  export const inject: (
    file: string,
    resource: string,
    data: Buffer,
    options: { readonly sentinelFuse: string }
  ) => Promise<void>
}
