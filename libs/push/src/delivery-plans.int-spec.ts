import { newUuid } from '#contracts';
import type { Sql, Statement } from '#database';
import { createTestDatabase, type TestDatabase } from '#testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BatchStore } from './batch.store.js';
import { DeliveryStore } from './delivery.store.js';
import { end } from './send/decide-result.js';

const BATCHES = 60;
const DELIVERIES_PER_BATCH = 1_000;

/** A scan of a table that grows, or of all that is due. */
const READS_EVERYTHING = /(Seq|Bitmap Heap) Scan on (delivery|device)/;

/** Autovacuum would give the planner statistics at a moment of its own choice. */
const WITHOUT_AUTOVACUUM = `DO $$
  DECLARE leaf regclass;
  BEGIN
    FOR leaf IN SELECT relid FROM pg_partition_tree('push.delivery') WHERE isleaf UNION ALL SELECT 'push.device'::regclass LOOP
      EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = false)', leaf);
    END LOOP;
  END $$`;

/** Runs statements and keeps their plans: each is explained with its own values just before it runs. */
class ExplainingSql implements Sql {
  readonly plans: string[] = [];

  constructor(private readonly sql: Sql) {}

  async query<Row extends object>(statement: Statement): Promise<Row[]> {
    const lines = await this.sql.query<{ 'QUERY PLAN': string }>({ text: `EXPLAIN ${statement.text}`, values: statement.values });
    this.plans.push(lines.map((line) => line['QUERY PLAN']).join('\n'));
    return this.sql.query<Row>(statement);
  }

  execute(): Promise<number> {
    throw new Error('Nothing here is executed without rows.');
  }
}

/** Without statistics, as right after an import: the planner knows least then. */
describe('the plans over 60,000 deliveries', () => {
  let test: TestDatabase;
  const environmentId = newUuid();

  beforeAll(async () => {
    test = await createTestDatabase();
    await test.database.execute({ text: WITHOUT_AUTOVACUUM });
    for (let batch = 0; batch < BATCHES; batch += 1) {
      const messageKey = newUuid();
      await test.database.execute({
        text: `INSERT INTO push.batch (environment_id, message_key, chunk_no, content_id, expires_at, lane, recipients, devices)
          VALUES ($1, $2, 0, $2, now() + interval '1 day', 'bulk', $3, $3)`,
        values: [environmentId, messageKey, DELIVERIES_PER_BATCH],
      });
      await test.database.execute({
        text: `INSERT INTO push.delivery (environment_id, message_key, chunk_no, subscriber_id, device_id, vendor, lane, next_attempt_at)
          SELECT $1, $2, 0, gen_random_uuid(), gen_random_uuid(), 'fcm', 'bulk', now() - interval '1 minute' FROM generate_series(1, $3::integer)`,
        values: [environmentId, messageKey, DELIVERIES_PER_BATCH],
      });
    }
    await test.database.execute({
      text: `INSERT INTO push.device (environment_id, id, subscriber_id, vapid_key_id, vendor, endpoint_hash, ciphertext, p256dh)
        SELECT environment_id, device_id, subscriber_id, message_key, 'fcm', sha256(device_id::text::bytea), 'x', convert_to(repeat('x', 65), 'UTF8')
        FROM push.delivery WHERE environment_id = $1`,
      values: [environmentId],
    });
  });
  afterAll(() => test.close());

  it('claim and write back along indexes, whatever waits beside', async () => {
    const store = new DeliveryStore(test.database);
    const sql = new ExplainingSql(test.database);
    const now = new Date();
    const claim = { limit: 100, now, leaseEndsAt: new Date(now.getTime() + 90_000) };
    const claimed = await store.claim({ vendor: 'fcm', lane: 'bulk' }, claim, sql);
    expect(claimed).toHaveLength(100);
    const results = claimed.map((delivery) => end(delivery, 'accepted', null));
    expect(await store.writeResults(results, now, sql)).toMatchObject({ written: 100, pruned: 0 });
    for (const plan of sql.plans) expect(plan).not.toMatch(READS_EVERYTHING);
  });

  it('ask for due lanes and count a batch without reading the others', async () => {
    const asked = new ExplainingSql(test.database);
    const lanes = [{ vendor: 'fcm', lane: 'bulk' } as const, { vendor: 'wns', lane: 'urgent' } as const];
    expect(await new DeliveryStore(test.database).findDueLanes(lanes, new Date(), asked)).toEqual([lanes[0]]);
    const [first] = await new BatchStore(test.database).listOpen({ messageKey: '00000000-0000-0000-0000-000000000000', chunkNo: -1 }, 1);
    if (first === undefined) throw new Error('There is no open batch.');
    await test.database.transaction(async (tx) => {
      const explaining = new ExplainingSql(tx);
      const [tally] = await new BatchStore(test.database).recount(
        [first],
        new Date(),
        Object.assign(explaining, tx, { query: explaining.query.bind(explaining) }),
      );
      expect(tally).toMatchObject({ recipients: DELIVERIES_PER_BATCH });
      for (const plan of [...asked.plans, ...explaining.plans]) expect(plan).not.toMatch(READS_EVERYTHING);
    });
  });
});
