/** The example of a test is run by the tests. */
import "../../examples/testing/sessions.test.ts"
