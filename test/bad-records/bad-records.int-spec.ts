import { createTestDatabase } from '#testing';
import { describeBadRecords } from './describe-bad-records.js';

describeBadRecords('the Postgres log', async () => {
  const test = await createTestDatabase();
  return { url: test.url, env: {}, close: () => test.close() };
});
