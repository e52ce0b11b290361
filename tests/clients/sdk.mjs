// The official Node.js SDK against one kvnode, which has the collections shop.orders and shop.short
// (100 s). Arguments: the folder with node_modules, the port. Ends with 1 if a case failed.

import { createRequire } from 'node:module'

import { check, failed } from './check.mjs'

const [folder, port] = process.argv.slice(2)
const couchbase = createRequire(`${folder}/`)('couchbase')

const cluster = await couchbase.connect(`couchbase://127.0.0.1:${port}`, {
  username: 'Administrator',
  password: 'password',
  timeouts: { connectTimeout: 20000, kvTimeout: 10000 },
})
const bucket = cluster.bucket('default')
const doc = { a: 1, list: [1, 2], count: 1 }
const { LookupInSpec: look, MutateInSpec: change } = couchbase

async function documents(c) {
  await check('upsert', () => c.upsert('d', doc))
  await check('get', async () => (await c.get('d')).content, doc)
  await check('get of nothing', () => c.get('none'), couchbase.DocumentNotFoundError)
  await check('insert of what exists', () => c.insert('d', doc), couchbase.DocumentExistsError)
  await check('exists', async () => (await c.exists('d')).exists, true)
  await check('replace', async () => c.replace('d', doc, { cas: (await c.get('d')).cas }))
  await check('upsert with an expiry', () => c.upsert('e', doc, { expiry: 100 }))
  await check('get with the expiry', async () => (await c.get('e', { withExpiry: true })).expiryTime > 0, true)
  await check('touch', () => c.touch('e', 50))
  await check('get and touch', async () => (await c.getAndTouch('e', 50)).content, doc)
  await check('get of parts', async () => (await c.get('d', { project: ['a'] })).content, { a: 1 })
  await check('lock and unlock', async () => c.unlock('d', (await c.getAndLock('d', 5)).cas))
  await check('bytes', () => c.upsert('raw', Buffer.from('abc')))
  await check('append', () => c.binary().append('raw', 'def'))
  await check('get of bytes', async () => (await c.get('raw')).content.toString(), 'abcdef')
  await check('counter', async () => (await c.binary().increment('n', 3, { initial: 10 })).value, 10)
  await check('lookup', async () => {
    const { content } = await c.lookupIn('d', [look.get('a'), look.exists('list'), look.count('list')])
    return content.map((it) => it.value)
  }, [1, true, 2])
  await check('change', () => c.mutateIn('d', [change.upsert('b', 5), change.arrayAppend('list', 3), change.increment('count', 2)]))
  await check('after it', async () => (await c.get('d')).content, { a: 1, list: [1, 2, 3], count: 3, b: 5 })
  await check('any replica', async () => (await c.getAnyReplica('d')).content.a, 1)
  await check('remove', () => c.remove('d'))
  await check('remove of nothing', () => c.remove('d'), couchbase.DocumentNotFoundError)
}

async function collections() {
  const scope = bucket.scope('shop')
  const all = [bucket.defaultCollection(), scope.collection('orders'), scope.collection('short')]
  const each = (act) => Promise.all(all.map(act))
  await check('a key in three collections', () => each((c, n) => c.upsert('same', { n })))
  await check('each has its own', () => each(async (c) => (await c.get('same')).content.n), [0, 1, 2])
  await check('a scan of each', () => each(async (c) => (await c.scan(new couchbase.PrefixScan('same'))).map((it) => it.id)),
    [['same'], ['same'], ['same']])
  await check('the expiry of a collection', async () => {
    const left = (await all[2].get('same', { withExpiry: true })).expiryTime - Date.now() / 1000
    return left > 40 && left < 160
  }, true)
  await check('removed from one', () => all[1].remove('same'))
  await check('and not from another', async () => (await each((c) => c.exists('same'))).map((it) => it.exists), [true, false, true])
  await check('an unknown scope', () => bucket.scope('none').collection('orders').get('same'), couchbase.ScopeNotFoundError)
}

await documents(bucket.defaultCollection())
await documents(bucket.scope('shop').collection('orders'))
await collections()
await cluster.close()
process.exit(failed.length === 0 ? 0 : 1)
