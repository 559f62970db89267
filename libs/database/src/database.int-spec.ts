import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '#testing';

describe('Database', () => {
  let test: TestDatabase;
  beforeAll(async () => {
    test = await createTestDatabase();
  });
  afterAll(() => test.close());

  it('answers', async () => {
    await expect(test.database.query({ text: 'SELECT 1 AS one' })).resolves.toEqual([{ one: 1 }]);
  });
});
