import { Injectable } from '@nestjs/common';
import { newUuid } from '#contracts';
import { Database, errorCodeOf, isUniqueViolation, type Sql } from '#database';
import type { Attributes } from '#subscribers';
import { compileRule } from './rule/compile-rule.js';
import type { Rule } from './rule/rule.js';
import { PREVIEW_SAMPLES_MAX, PREVIEW_TIMEOUT_MS } from './segments.limits.js';
import { SegmentNameTakenError, SegmentPreviewTimeoutError } from './segments.errors.js';

/** A named rule. */
export interface Segment {
  /** UUID. */
  readonly id: string;
  readonly name: string;
  readonly rule: Rule;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** What a caller gives of a segment. */
export type SegmentFields = Pick<Segment, 'name' | 'rule'>;

/** Somebody who matches a rule. */
export interface PreviewSample {
  readonly id: string;
  readonly externalId: string;
  readonly attributes: Attributes;
}

/** How many subscribers match a rule, and some of them. */
export interface Preview {
  readonly count: number;
  readonly samples: readonly PreviewSample[];
}

interface SegmentRow {
  readonly id: string;
  readonly name: string;
  readonly rule: Rule;
  readonly created_at: Date;
  readonly updated_at: Date;
}

interface PreviewRow {
  readonly count: string;
  readonly samples: readonly { readonly id: string; readonly external_id: string; readonly attributes: Attributes }[];
}

/** Comes after every UUID that is given out. */
const LAST_UUID = 'ffffffff-ffff-ffff-ffff-ffffffffffff';
const QUERY_CANCELED = '57014';

/** All SQL over segments.segment, and the reads of a rule over the audience. */
@Injectable()
export class SegmentStore {
  constructor(private readonly database: Database) {}

  /** @throws SegmentNameTakenError */
  async insert(environmentId: string, fields: SegmentFields, tx: Sql = this.database): Promise<Segment> {
    const rows = await nameTakenInstead(
      tx.query<SegmentRow>({
        text: `INSERT INTO segments.segment (environment_id, id, name, rule) VALUES ($1, $2, $3, $4)
          RETURNING id, name, rule, created_at, updated_at`,
        values: [environmentId, newUuid(), fields.name, JSON.stringify(fields.rule)],
      }),
    );
    return rows.map(toSegment)[0] as Segment;
  }

  /**
   * Replaces name and rule. Runs that were triggered before keep the rule they were triggered with.
   *
   * @returns the segment; `undefined` when this environment has none of that id
   * @throws SegmentNameTakenError
   */
  async replace(environmentId: string, segmentId: string, fields: SegmentFields, tx: Sql = this.database): Promise<Segment | undefined> {
    const rows = await nameTakenInstead(
      tx.query<SegmentRow>({
        text: `UPDATE segments.segment SET name = $3, rule = $4, updated_at = now() WHERE environment_id = $1 AND id = $2
          RETURNING id, name, rule, created_at, updated_at`,
        values: [environmentId, segmentId, fields.name, JSON.stringify(fields.rule)],
      }),
    );
    return rows.map(toSegment)[0];
  }

  /** The segment of that id; `undefined` when this environment has none. */
  async find(environmentId: string, segmentId: string, tx: Sql = this.database): Promise<Segment | undefined> {
    const rows = await tx.query<SegmentRow>({
      name: 'segments.find',
      text: `SELECT id, name, rule, created_at, updated_at FROM segments.segment WHERE environment_id = $1 AND id = $2`,
      values: [environmentId, segmentId],
    });
    return rows.map(toSegment)[0];
  }

  /** Up to `limit` segments before the given id, newest first. */
  async list(
    environmentId: string,
    page: { readonly beforeId?: string | undefined; readonly limit: number },
    tx: Sql = this.database,
  ): Promise<Segment[]> {
    const rows = await tx.query<SegmentRow>({
      text: `SELECT id, name, rule, created_at, updated_at FROM segments.segment
        WHERE environment_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3`,
      values: [environmentId, page.beforeId ?? LAST_UUID, page.limit],
    });
    return rows.map(toSegment);
  }

  /** True when there was such a segment. */
  async remove(environmentId: string, segmentId: string, tx: Sql = this.database): Promise<boolean> {
    const removed = await tx.execute({
      text: `DELETE FROM segments.segment WHERE environment_id = $1 AND id = $2`,
      values: [environmentId, segmentId],
    });
    return removed === 1;
  }

  /**
   * Counts who matches and shows some of them, in one statement that evaluates the rule once per subscriber. The transaction is
   * read-only and ends after `timeoutMs`.
   *
   * @throws SegmentPreviewTimeoutError
   */
  async preview(environmentId: string, rule: Rule, options: { readonly now: Date; readonly timeoutMs?: number }): Promise<Preview> {
    const predicate = compileRule(rule, { alias: 'audience', firstParameter: 3, now: options.now });
    const read = this.database.transaction(
      async (tx) => {
        await tx.execute({ text: 'SET TRANSACTION READ ONLY' });
        return tx.query<PreviewRow>({
          text: `WITH matching AS MATERIALIZED (
              SELECT audience.id FROM subscribers.audience AS audience WHERE audience.environment_id = $1 AND ${predicate.sql}
            ), sample AS (
              SELECT shown.id, shown.external_id, shown.attributes FROM (SELECT id FROM matching LIMIT $2) AS chosen
              JOIN subscribers.audience AS shown ON shown.environment_id = $1 AND shown.id = chosen.id
            )
            SELECT (SELECT count(*) FROM matching) AS count, coalesce((SELECT json_agg(sample ORDER BY id) FROM sample), '[]') AS samples`,
          values: [environmentId, PREVIEW_SAMPLES_MAX, ...predicate.values],
        });
      },
      { statementTimeoutMs: options.timeoutMs ?? PREVIEW_TIMEOUT_MS },
    );
    const [row] = await read.catch((error: unknown) => {
      throw errorCodeOf(error) === QUERY_CANCELED ? new SegmentPreviewTimeoutError(error) : error;
    });
    if (row === undefined) throw new Error('A select without FROM gave no row');
    return {
      count: Number(row.count),
      samples: row.samples.map((sample) => ({ id: sample.id, externalId: sample.external_id, attributes: sample.attributes })),
    };
  }
}

async function nameTakenInstead<Row>(rows: Promise<Row[]>): Promise<Row[]> {
  try {
    return await rows;
  } catch (error) {
    throw isUniqueViolation(error) ? new SegmentNameTakenError() : error;
  }
}

function toSegment(row: SegmentRow): Segment {
  return { id: row.id, name: row.name, rule: row.rule, createdAt: row.created_at, updatedAt: row.updated_at };
}
