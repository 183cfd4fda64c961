/** In place of node-gyp-build, which bcrypt asks for its native part: it is loaded when the first password comes. */
const { addon } = require("./addons.ts")

module.exports = () => new Proxy({}, { get: (_, name) => addon("bcrypt")[name] })
