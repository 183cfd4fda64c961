/**
 * IAM policies as far as a node needs them: a file as it is attached to a role decides what dev-s3 allows, and what it
 * does not allow is denied. What this does not understand is refused when the file is read, never passed over.
 */

export interface Policy {
  readonly statements: ReadonlyArray<Statement>
}

interface Statement {
  readonly allows: boolean
  readonly actions: ReadonlyArray<RegExp>
  readonly resources: ReadonlyArray<RegExp>
  readonly conditions: ReadonlyArray<Condition>
}

interface Condition {
  readonly key: string
  readonly values: ReadonlyArray<RegExp>
  /** An absent key fulfils it (`…IfExists`). */
  readonly unlessAbsent: boolean
}

/** IAM's condition keys of one request; undefined: the request has none. */
export type ConditionKeys = Readonly<Record<string, string | undefined>>

export const bucketArn = (bucket: string): string => `arn:aws:s3:::${bucket}`
export const objectArn = (bucket: string, key: string): string => `arn:aws:s3:::${bucket}/${key}`

/** S3's own account and region here. */
export const keyArn = (keyId: string): string =>
  keyId.startsWith("arn:") ? keyId : `arn:aws:kms:us-east-1:000000000000:key/${keyId}`

const known = ["Sid", "Effect", "Action", "Resource", "Condition"]
const operators: Readonly<Record<string, { readonly wildcards: boolean; readonly unlessAbsent: boolean }>> = {
  StringEquals: { wildcards: false, unlessAbsent: false },
  StringEqualsIfExists: { wildcards: false, unlessAbsent: true },
  StringLike: { wildcards: true, unlessAbsent: false },
  StringLikeIfExists: { wildcards: true, unlessAbsent: true }
}

const pattern = (text: string, flags = ""): RegExp =>
  new RegExp(
    `^${text
      .replace(/[.+^${}()|[\]\\]/g, "\\$&")
      .replaceAll("*", "[^]*")
      .replaceAll("?", "[^]")}$`,
    flags
  )
const literally = (text: string): RegExp => new RegExp(`^${text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`)

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const texts = (value: unknown, what: string): ReadonlyArray<string> => {
  const all: ReadonlyArray<unknown> = Array.isArray(value) ? value : [value]
  return all.map((one) => {
    if (typeof one !== "string" || one === "") throw new Error(`${what} is not a text or a list of texts`)
    return one
  })
}

const conditionsOf = (value: unknown, where: string): ReadonlyArray<Condition> => {
  if (value === undefined) return []
  if (!isObject(value)) throw new Error(`${where}.Condition is not an object`)
  return Object.entries(value).flatMap(([name, keys]) => {
    const operator = operators[name]
    if (operator === undefined) {
      throw new Error(`${where}.Condition.${name} is not one of ${Object.keys(operators).join(", ")}`)
    }
    if (!isObject(keys)) throw new Error(`${where}.Condition.${name} is not an object`)
    return Object.entries(keys).map(([key, values]) => ({
      key,
      unlessAbsent: operator.unlessAbsent,
      values: texts(values, `${where}.Condition.${name}.${key}`).map((one) =>
        operator.wildcards ? pattern(one) : literally(one)
      )
    }))
  })
}

const statementOf = (value: unknown, where: string): Statement => {
  if (!isObject(value)) throw new Error(`${where} is not an object`)
  const stranger = Object.keys(value).find((key) => !known.includes(key))
  if (stranger !== undefined) throw new Error(`${where}.${stranger} is not one of ${known.join(", ")}`)
  if (value["Effect"] !== "Allow" && value["Effect"] !== "Deny") throw new Error(`${where}.Effect is not Allow or Deny`)
  return {
    allows: value["Effect"] === "Allow",
    actions: texts(value["Action"], `${where}.Action`).map((one) => pattern(one, "i")),
    resources: texts(value["Resource"], `${where}.Resource`).map((one) => pattern(one)),
    conditions: conditionsOf(value["Condition"], where)
  }
}

/** Throws with the place of what it does not understand. */
export const parsePolicy = (text: string): Policy => {
  const document: unknown = JSON.parse(text)
  if (!isObject(document) || document["Version"] !== "2012-10-17") {
    throw new Error("not an IAM policy of the Version 2012-10-17")
  }
  const statements = document["Statement"]
  const all: ReadonlyArray<unknown> = Array.isArray(statements) ? statements : [statements]
  return { statements: all.map((one, i) => statementOf(one, `Statement[${i}]`)) }
}

const holds = ({ key, unlessAbsent, values }: Condition, keys: ConditionKeys): boolean => {
  const value = keys[key]
  return value === undefined ? unlessAbsent : values.some((one) => one.test(value))
}

const speaksOf = (statement: Statement, action: string, resource: string, keys: ConditionKeys): boolean =>
  statement.actions.some((one) => one.test(action)) &&
  statement.resources.some((one) => one.test(resource)) &&
  statement.conditions.every((one) => holds(one, keys))

/** Some statement allows it and none denies it. */
export const permits = (policy: Policy, action: string, resource: string, keys: ConditionKeys = {}): boolean => {
  const spoken = policy.statements.filter((one) => speaksOf(one, action, resource, keys))
  return spoken.length > 0 && spoken.every(({ allows }) => allows)
}
