// Durable writes of the official Node.js SDK against a node with two replicas. Arguments: the
// folder with node_modules, the node's address, user and password, the name of one of the functions
// that the last lines list, and the processes of the replicas' sidecars. Ends with 1 if a case
// failed.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

import { check, failed } from './check.mjs'
import { AFTER, BEFORE, NEW, OLD, commands, prepare, values } from './commands.mjs'

const [folder, address, username, password, name, ...sidecars] = process.argv.slice(2)
const couchbase = createRequire(`${folder}/`)('couchbase')
const { DurabilityLevel } = couchbase
const { Majority, MajorityAndPersistOnMaster, PersistToMajority } = DurabilityLevel
const LEVELS = [Majority, MajorityAndPersistOnMaster, PersistToMajority]
const PATIENCE_MS = 60000
// The SDK tells the node nine tenths of it: the tenth is for a busy machine.
const SHORT_MS = 10000
const LONG_MS = 60000

const cluster = await couchbase.connect(`couchbase://${address}`, {
  username,
  password,
  timeouts: { connectTimeout: 20000, kvTimeout: 10000 },
})
const bucket = cluster.bucket('default')
const both = [bucket.defaultCollection(), bucket.scope('shop').collection('orders')]

// Calls `look` until what it returns is true.
async function until(what, look) {
  const deadline = Date.now() + PATIENCE_MS
  while (!await look()) {
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`)
  }
}

// Each command at each level: it has its effect, or fails with what is expected and has none.
async function eachLevel(c, prefix, expected) {
  for (const durabilityLevel of LEVELS) {
    const at = `${prefix}-${durabilityLevel}-`
    await prepare(c, at)
    for (const [command, act] of Object.entries(commands(couchbase, c, at, { durabilityLevel }))) {
      await check(`${command} at level ${durabilityLevel}`, act, expected)
    }
    const after = expected ? BEFORE : AFTER
    await check(`after them at level ${durabilityLevel}`, () => values(couchbase, c, at), after)
  }
}

// One copy is the majority of one. By its map the cluster has no replica.
async function alone() {
  for (const c of both) await eachLevel(c, 'alone')
  // Nine tenths of it are 65,535 ms, which is reserved; of longer ones the SDK sends 16 bits.
  const never = { durabilityLevel: Majority, timeout: 72817 }
  const upsert = (how) => () => both[0].upsert('k', NEW, how)
  await check('a timeout that is none', upsert(never), couchbase.DurabilityLevelNotAvailableError)
  const observed = upsert({ durabilityReplicateTo: 1 })
  await check('replicas that the map has not', observed, couchbase.DurabilityImpossibleError)
}

async function impossible() {
  for (const c of both) await eachLevel(c, 'impossible', couchbase.DurabilityImpossibleError)
}

// What is refused without durability is refused with it.
async function refusals(c, how) {
  const { DocumentExistsError, CasMismatchError, DocumentNotFoundError } = couchbase
  const [key, other] = ['levels-1-upsert', { cas: '12345', ...how }]
  await check('insert of what exists', () => c.insert(key, NEW, how), DocumentExistsError)
  await check('replace with another CAS', () => c.replace(key, NEW, other), CasMismatchError)
  await check('remove of nothing', () => c.remove('none', how), DocumentNotFoundError)
}

// All copies are there.
async function levels() {
  for (const c of both) {
    await eachLevel(c, 'levels')
    for (const durabilityLevel of LEVELS) {
      await refusals(c, { durabilityLevel })
      const upsert = (_, i) => c.upsert(`m${i}`, { i }, { durabilityLevel })
      await check('many', () => Promise.all(Array.from({ length: 300 }, upsert)))
    }
    for (const [key, content] of [['levels-1-insert', NEW], ['m7', { i: 7 }]]) {
      const found = async () => (await c.getAllReplicas(key)).map((it) => it.content)
      const wanted = JSON.stringify([content, content, content])
      await until('all copies have it', async () => JSON.stringify(await found()) === wanted)
      await check(`${key} on any copy`, async () => (await c.getAnyReplica(key)).content, content)
    }
    const observed = { durabilityReplicateTo: 2, durabilityPersistTo: 3 }
    await check('observed on two replicas', () => c.upsert('observed', NEW, observed))
  }
}

async function freeze(id) {
  process.kill(Number(id), 'SIGSTOP')
  const state = () => readFileSync(`/proc/${id}/stat`, 'utf8').split(') ').pop()[0]
  await until('it is frozen', () => state() === 'T')
}

function thaw() {
  for (const id of sidecars) process.kill(Number(id), 'SIGCONT')
}

// The SDK asks again until its time is over, and then says why.
async function isRefused(reason, act) {
  try {
    await act({ timeout: 1000 })
    return false
  } catch (error) {
    const reasons = error.context?.retry_reasons ?? []
    if (!reasons.some((it) => String(it).includes(`sync_write_${reason}`))) throw error
    return true
  }
}

// All at once: they are given up at about the same time.
async function givenUp(c) {
  const tried = []
  for (const durabilityLevel of LEVELS) {
    const at = `frozen-${durabilityLevel}-`
    await prepare(c, at)
    const how = { durabilityLevel, timeout: SHORT_MS }
    for (const [command, act] of Object.entries(commands(couchbase, c, at, how))) {
      const title = `${command} at level ${durabilityLevel}, given up`
      tried.push(check(title, act, couchbase.DurabilityAmbiguousError))
    }
  }
  await Promise.all(tried)
  for (const level of LEVELS) {
    await check('after them', () => values(couchbase, c, `frozen-${level}-`), BEFORE)
    await check('a write after them', () => c.upsert(`frozen-${level}-upsert`, NEW))
  }
}

// A durable write that waits for replicas.
async function undecided(c, key) {
  await c.upsert(key, OLD)
  const durable = c.upsert(key, NEW, { durabilityLevel: Majority, timeout: LONG_MS })
  const plain = (how) => c.upsert(key, OLD, how)
  await until('a plain write is refused', () => isRefused('in_progress', plain))
  await check('a read before it is decided', async () => (await c.get(key)).content, OLD)
  return { durable }
}

async function frozen() {
  await freeze(sidecars[1])
  for (const c of both) await eachLevel(c, 'one-frozen')
  await freeze(sidecars[0])
  for (const c of both) await givenUp(c)
  const [c, last] = [both[0], { v: 'last' }]
  const { durable } = await undecided(c, 'waits')
  const plain = c.upsert('waits', last, { timeout: LONG_MS })
  thaw()
  await check('it is committed when replicas are back', () => durable)
  const after = async () => (await plain) && (await c.get('waits')).content
  await check('the plain write was after it', after, last)
  for (const c of both) await eachLevel(c, 'thawed')
}

// Leaves durable writes undecided, with frozen sidecars.
async function leave() {
  for (const id of sidecars) await freeze(id)
  for (const c of both) await undecided(c, 'left')
  // An orderly end would wait for them.
  process.exit(failed.length === 0 ? 0 : 1)
}

// The node has restarted meanwhile: nobody may see what was before, and nothing is given up.
async function recommit() {
  for (const c of both) {
    const read = (how) => c.get('left', how)
    await check('a read is refused', () => isRefused('re_commit_in_progress', read), true)
    const plain = (how) => c.upsert('left', OLD, how)
    await check('a write is refused', () => isRefused('in_progress', plain), true)
  }
  thaw()
  const waiting = (c) => async () => (await c.get('left', { timeout: LONG_MS })).content
  for (const c of both) await check('a read waits', waiting(c), NEW)
}

await { alone, impossible, levels, frozen, leave, recommit }[name]()
await cluster.close()
process.exit(failed.length === 0 ? 0 : 1)
