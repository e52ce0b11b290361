// One case of a script, and the names of those that failed.

import { isDeepStrictEqual } from 'node:util'

export const failed = []

// Runs `act`: what it returns is what is expected, or its error is of the expected class.
export async function check(name, act, expected) {
  let found
  try {
    found = await act()
  } catch (error) {
    found = error
  }
  const isError = found instanceof Error
  const good = typeof expected === 'function' && expected.prototype instanceof Error
    ? found instanceof expected
    : !isError && (expected === undefined || isDeepStrictEqual(found, expected))
  console.log(good ? 'ok  ' : 'FAIL', name, good ? '' : String(found).slice(0, 300))
  if (!good) failed.push(name)
}
