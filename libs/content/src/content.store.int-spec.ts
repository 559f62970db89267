import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newUuid } from '#contracts';
import { createTestDatabase } from '#testing';
import { ContentTemplateInvalidError } from './content.errors.js';
import { ContentStore } from './content.store.js';

describe('ContentStore', () => {
  let test: Awaited<ReturnType<typeof createTestDatabase>>;
  let store: ContentStore;
  const environmentId = newUuid();

  beforeAll(async () => {
    test = await createTestDatabase();
    store = new ContentStore(test.database);
  });
  afterAll(() => test.close());

  it('gives back what was stored, as one object while it is cached', async () => {
    const id = await store.insert(environmentId, { title: 'Hi {{ subscriber.a }}', data: { n: 1 } });
    const found = await store.find(environmentId, id);
    expect(found).toEqual({ id, fields: { title: 'Hi {{ subscriber.a }}', data: { n: 1 } }, personalised: true });
    expect(await store.find(environmentId, id)).toBe(found);
    expect((await store.findMany(environmentId, [id, newUuid()])).get(id)).toEqual(found);
  });

  it('answers a foreign id like an unknown one, also while it is cached', async () => {
    const id = await store.insert(environmentId, { title: 'Hi' });
    await store.find(environmentId, id);
    expect(await store.find(newUuid(), id)).toBeUndefined();
    expect(await store.find(environmentId, newUuid())).toBeUndefined();
    expect((await store.findMany(newUuid(), [id])).size).toBe(0);
  });

  it('stores nothing when a template is broken', async () => {
    await expect(store.insert(environmentId, { title: '{{ x' })).rejects.toBeInstanceOf(ContentTemplateInvalidError);
  });

  it('keeps serving every content when more are in use than it remembers', async () => {
    const ids: string[] = [];
    for (let index = 0; index < 510; index += 1) ids.push(await store.insert(environmentId, { title: `Content ${index}` }));
    for (const [index, id] of ids.entries()) expect((await store.find(environmentId, id))?.fields.title).toBe(`Content ${index}`);
    expect((await store.find(environmentId, ids[0] ?? ''))?.fields.title).toBe('Content 0');
  });
});
