// memjs against one kvnode that selects the bucket with the user's name. Arguments: the folder with
// node_modules, the port. Ends with 1 if a case failed.

import { createRequire } from 'node:module'

const [folder, port] = process.argv.slice(2)
const { Client } = createRequire(`${folder}/`)('memjs')
const client = Client.create(`127.0.0.1:${port}`, { username: 'default', password: 'password' })
let failed = 0

async function check(name, act, expected) {
  let found
  try {
    found = await act()
  } catch (error) {
    found = error
  }
  const good = found === expected
  console.log(good ? 'ok  ' : 'FAIL', name, good ? '' : String(found).slice(0, 300))
  if (!good) failed += 1
}

await check('set', () => client.set('j1', 'v1', { expires: 100 }), true)
await check('get', async () => String((await client.get('j1')).value), 'v1')
await check('add of what exists', () => client.add('j1', 'x', {}), false)
await check('replace', () => client.replace('j1', 'v2', {}), true)
await check('append', () => client.append('j1', 'z'), true)
await check('get after them', async () => String((await client.get('j1')).value), 'v2z')
await check('increment', async () => (await client.increment('jc', 2, { initial: 5 })).value, 5)
await check('delete', () => client.delete('j1'), true)
await check('get of nothing', async () => (await client.get('j1')).value, null)
client.close()
process.exit(failed === 0 ? 0 : 1)
