// Each command of the Node.js SDK that takes a durability level, each on a document of its own, and
// what readers find before and after all of them.

export const OLD = { v: 'old' }
export const NEW = { v: 'new' }
export const BEFORE = ['old', undefined, 'old', 'old', 'old', undefined, 10, 'b']
export const AFTER = ['new', 'new', 'new', undefined, 'new', 'new', 13, 'bc']

// Writes the documents that are to be there before, without durability.
export async function prepare(c, prefix) {
  for (const key of ['upsert', 'replace', 'remove', 'part']) await c.upsert(prefix + key, OLD)
  await c.upsert(`${prefix}raw`, Buffer.from('b'))
  await c.upsert(`${prefix}n`, 10)
}

export function commands({ MutateInSpec: change, StoreSemantics }, c, prefix, how) {
  const part = change.upsert('v', 'new')
  const attribute = change.upsert('x.a', 1, { xattr: true, createPath: true })
  const made = { ...how, storeSemantics: StoreSemantics.Upsert }
  return {
    upsert: () => c.upsert(`${prefix}upsert`, NEW, how),
    insert: () => c.insert(`${prefix}insert`, NEW, how),
    replace: () => c.replace(`${prefix}replace`, NEW, how),
    remove: () => c.remove(`${prefix}remove`, how),
    'change of parts': () => c.mutateIn(`${prefix}part`, [part, attribute], how),
    'parts of nothing': () => c.mutateIn(`${prefix}made`, [part], made),
    increment: () => c.binary().increment(`${prefix}n`, 3, how),
    append: () => c.binary().append(`${prefix}raw`, 'c', how),
  }
}

// What a reader finds of all of them, as in `BEFORE` and `AFTER`.
export async function values({ DocumentNotFoundError }, c, prefix) {
  const value = async (key) => {
    try {
      return (await c.get(prefix + key)).content
    } catch (error) {
      if (error instanceof DocumentNotFoundError) return undefined
      throw error
    }
  }
  const keys = ['upsert', 'insert', 'replace', 'remove', 'part', 'made']
  const found = await Promise.all(keys.map(async (key) => (await value(key))?.v))
  return [...found, await value('n'), String(await value('raw'))]
}
