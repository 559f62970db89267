import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newUuid } from '#contracts';
import type { Sql, Statement } from '#database';
import type { Rule } from '#segments';
import { createTestDatabase, FixedClock, type TestDatabase } from '#testing';
import { ChunkStore } from './chunk.store.js';
import { Pipeline } from './testing/pipeline.js';

const SUBSCRIBERS = 100_000;
const OTHERS = 20_000;
const CHUNKS = 100;

/** Runs statements and keeps their plans: each is explained with its own values just before it runs. */
class ExplainingSql implements Sql {
  readonly plans: string[] = [];

  /**
   * @param explain `EXPLAIN ANALYZE` for a statement that only reads: some subplans show only where they were run; `GENERIC_PLAN` for the
   *   plan without values that Postgres keeps for a prepared statement
   */
  constructor(
    private readonly sql: Sql,
    private readonly explain: 'EXPLAIN' | 'EXPLAIN ANALYZE' | 'EXPLAIN (GENERIC_PLAN)' = 'EXPLAIN',
  ) {}

  async query<Row extends object>(statement: Statement): Promise<Row[]> {
    await this.keepPlan(statement);
    return this.sql.query<Row>(statement);
  }

  async execute(statement: Statement): Promise<number> {
    await this.keepPlan(statement);
    return this.sql.execute(statement);
  }

  private async keepPlan({ text, values }: Statement): Promise<void> {
    const bound = this.explain === 'EXPLAIN (GENERIC_PLAN)' ? {} : { values };
    const lines = await this.sql.query<{ 'QUERY PLAN': string }>({ text: `${this.explain} ${text}`, ...bound });
    this.plans.push(lines.map((line) => line['QUERY PLAN']).join('\n'));
  }
}

describe('the plans over 100,000 subscribers', () => {
  let test: TestDatabase;
  let pipeline: Pipeline;

  beforeAll(async () => {
    test = await createTestDatabase();
    pipeline = new Pipeline(test.database, new FixedClock());
    await pipeline.standIn.seedSubscribers(pipeline.environmentId, SUBSCRIBERS);
    await pipeline.standIn.seedSubscribers(newUuid(), OTHERS);
    await test.database.execute({ text: 'ANALYZE subscribers.subscriber' });
  });
  afterAll(() => test.close());

  it('cut a whole audience by one walk over the primary key', async () => {
    const sql = new ExplainingSql(test.database, 'EXPLAIN ANALYZE');
    const audience = { rule: null, triggeredAt: new Date() };
    const bounds = await new ChunkStore(test.database).findBounds(pipeline.environmentId, audience, sql);
    expect(bounds).toHaveLength(CHUNKS);
    expect(bounds.every((bound) => bound.recipients === 1_000)).toBe(true);
    expect(sql.plans).toHaveLength(1);
    expect(sql.plans[0]).toMatch(/Index (Only )?Scan using subscriber_pkey/);
    expect(sql.plans[0]).not.toMatch(/Seq Scan|Bitmap/);
  });

  it.each([0, 1, 999, 1_000, 1_001, 2_500])('cut %i people alike, stepped through or numbered', async (people) => {
    const environmentId = newUuid();
    await pipeline.standIn.seedSubscribers(environmentId, people);
    const store = new ChunkStore(test.database);
    const [stepped, numbered] = await Promise.all(
      [null, { not: { attribute: 'name', operator: 'equals', value: 'Nobody' } } as const].map((rule) =>
        store.findBounds(environmentId, { rule, triggeredAt: new Date() }),
      ),
    );
    expect(stepped?.reduce((sum, bound) => sum + bound.recipients, 0)).toBe(people);
    expect(stepped).toEqual(numbered);
  });

  it.each([
    ['everybody', null],
    ['everybody, by a plan that is kept,', null, 'EXPLAIN (GENERIC_PLAN)'],
    ['a rule that few fulfil', { attribute: 'no', operator: 'less_than', value: 50_100 }],
    ['a rule that most fulfil', { not: { attribute: 'name', operator: 'equals', value: 'Person 7' } }],
  ] as [string, Rule | null, ('EXPLAIN' | 'EXPLAIN (GENERIC_PLAN)')?][])(
    'fan out a chunk of %s by a range of the primary key',
    async (_, rule, explain = 'EXPLAIN') => {
      const store = new ChunkStore(test.database);
      const bounds = await store.findBounds(pipeline.environmentId, { rule: null, triggeredAt: new Date() });
      const [lower, upper] = [bounds[49]?.upperId ?? '', bounds[50]?.upperId ?? ''];
      await test.database.transaction(async (tx) => {
        const sql = new ExplainingSql(tx, explain);
        const range = {
          state: 'planned' as const,
          lowerId: lower,
          upperId: upper,
          runState: 'running' as const,
          channels: ['inbox' as const],
          contentId: newUuid(),
          rule,
          triggeredAt: new Date(),
          messageKey: newUuid(),
          expiresAt: new Date(),
          plannedChunks: CHUNKS,
        };
        const decision = { range, outcome: 'requested' as const, traceparent: undefined, at: new Date() };
        const { batches } = await store.fanOut(
          pipeline.environmentId,
          { runId: newUuid(), chunkNo: 0 },
          decision,
          Object.assign(sql, tx, { query: sql.query.bind(sql) }),
        );
        expect(batches[0]?.recipientIds.length).toBeGreaterThan(0);
        expect(sql.plans).toHaveLength(1);
        expect(sql.plans[0]).toMatch(
          /Index Scan (?:using subscriber_pkey on subscriber|on subscriber_pkey)\s.*\n\s*Index Cond: \(\(environment_id = .* AND \(id > .* AND \(id <= /,
        );
        expect(sql.plans[0]).not.toMatch(/Seq Scan on subscriber/);
      });
    },
  );
});
