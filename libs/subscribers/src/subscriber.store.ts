import { Injectable } from '@nestjs/common';
import { newUuid } from '#contracts';
import { Database, type Sql } from '#database';
import type { Attributes } from './profile/attribute-value.js';
import type { SubscriberPatch } from './profile/subscriber-patch.js';
import type { Subscriber, SubscriberProfile } from './profile/subscriber-profile.js';
import { ATTRIBUTES_BYTES_MAX, ATTRIBUTES_MAX, UPSERT_BATCH_MAX } from './subscribers.limits.js';
import { AttributesTooManyError, ExternalIdInvalidError } from './subscribers.errors.js';
import { externalIdFault } from './profile/external-id.js';

/** What became of one change of a batch. `refused`: with what is there, the subscriber would have more attributes than are allowed. */
export type UpsertStatus = 'created' | 'updated' | 'refused';

interface SubscriberRow {
  readonly id: string;
  readonly external_id: string;
  readonly attributes: Attributes;
  readonly locale: string | null;
  readonly time_zone: string | null;
  readonly unsubscribed_at: Date | null;
  readonly created_at: Date;
  readonly updated_at: Date;
}

/** Comes before every UUID that is given out. */
const FIRST_UUID = '00000000-0000-0000-0000-000000000000';
/** How often `ensureSubscriber` looks again when somebody deletes the row it has just seen. */
const ENSURE_ATTEMPTS_MAX = 5;

/**
 * One statement for one change and for a thousand. Rows are locked in the order of the input, which is sorted by external id: two
 * overlapping batches wait for each other and never deadlock. `excluded` cannot carry "clear this", so what a change clears comes beside
 * the rows, by external id: $8 the names of removed attributes, $9 the cleared fields. Rows that would grow too large are not touched
 * and not returned.
 */
const UPSERT = `
  INSERT INTO subscribers.subscriber AS present (environment_id, id, external_id, attributes, locale, time_zone, unsubscribed_at)
  SELECT $1::uuid, input.id, input.external_id, input.attributes::jsonb, input.locale, input.time_zone, CASE WHEN input.unsubscribed THEN now() END
  FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[])
    AS input (id, external_id, attributes, locale, time_zone, unsubscribed)
  ON CONFLICT (environment_id, external_id) DO UPDATE SET
    attributes = subscribers.merge_attributes(present.attributes, excluded.attributes, $8::jsonb -> excluded.external_id),
    locale = CASE WHEN $9::jsonb -> excluded.external_id ? 'locale' THEN NULL ELSE coalesce(excluded.locale, present.locale) END,
    time_zone = CASE WHEN $9::jsonb -> excluded.external_id ? 'time_zone' THEN NULL ELSE coalesce(excluded.time_zone, present.time_zone) END,
    unsubscribed_at = CASE WHEN $9::jsonb -> excluded.external_id ? 'unsubscribed' THEN NULL
      ELSE coalesce(present.unsubscribed_at, excluded.unsubscribed_at) END,
    updated_at = now()
  WHERE (SELECT pg_column_size(merged.attributes) <= ${ATTRIBUTES_BYTES_MAX}
      AND (SELECT count(*) FROM jsonb_object_keys(merged.attributes)) <= ${ATTRIBUTES_MAX}
    FROM subscribers.merge_attributes(present.attributes, excluded.attributes, $8::jsonb -> excluded.external_id) AS merged (attributes))
  RETURNING`;

/** All SQL over subscribers.subscriber. */
@Injectable()
export class SubscriberStore {
  constructor(private readonly database: Database) {}

  /**
   * Creates or changes one subscriber.
   *
   * @throws AttributesTooManyError when the subscriber would have more attributes than are allowed.
   */
  async upsert(
    environmentId: string,
    patch: SubscriberPatch,
    tx: Sql = this.database,
  ): Promise<{ readonly subscriber: Subscriber; readonly created: boolean }> {
    const proposedId = newUuid();
    const [row] = await tx.query<SubscriberRow>({
      name: 'subscribers.upsert',
      text: `${UPSERT} id, external_id, attributes, locale, time_zone, unsubscribed_at, created_at, updated_at`,
      values: upsertValues(environmentId, [patch], [proposedId]),
    });
    if (row === undefined) throw new AttributesTooManyError();
    return { subscriber: toSubscriber(row), created: row.id === proposedId };
  }

  /**
   * Creates or changes up to 1,000 subscribers in one statement. Each external id may occur once only.
   *
   * @returns the status by external id
   */
  async upsertMany(
    environmentId: string,
    patches: readonly SubscriberPatch[],
    tx: Sql = this.database,
  ): Promise<ReadonlyMap<string, UpsertStatus>> {
    if (patches.length > UPSERT_BATCH_MAX) throw new RangeError(`At most ${UPSERT_BATCH_MAX} subscribers per batch, got ${patches.length}`);
    if (patches.length === 0) return new Map();
    const sorted = patches.filter(isWithinLimits).sort((left, right) => (left.externalId < right.externalId ? -1 : 1));
    const proposedIds = sorted.map(() => newUuid());
    const rows = await tx.query<{ id: string; external_id: string }>({
      name: 'subscribers.upsert-many',
      text: `${UPSERT} id, external_id`,
      values: upsertValues(environmentId, sorted, proposedIds),
    });
    const proposed = new Set(proposedIds);
    const statuses = new Map<string, UpsertStatus>(patches.map((patch) => [patch.externalId, 'refused']));
    for (const row of rows) statuses.set(row.external_id, proposed.has(row.id) ? 'created' : 'updated');
    return statuses;
  }

  /** The subscriber with this external id; `undefined` when this environment has none. */
  async findByExternalId(environmentId: string, externalId: string, tx: Sql = this.database): Promise<Subscriber | undefined> {
    // Postgres cannot even be asked for an id with a NUL character or a lone surrogate.
    if (externalIdFault(externalId) !== undefined) return undefined;
    const [row] = await tx.query<SubscriberRow>({
      name: 'subscribers.find-by-external-id',
      text: `SELECT id, external_id, attributes, locale, time_zone, unsubscribed_at, created_at, updated_at
        FROM subscribers.subscriber WHERE environment_id = $1 AND external_id = $2`,
      values: [environmentId, externalId],
    });
    return row === undefined ? undefined : toSubscriber(row);
  }

  /**
   * The id of the subscriber with this external id, who is created without attributes when there is none.
   *
   * @throws ExternalIdInvalidError
   */
  async ensureSubscriber(environmentId: string, externalId: string, tx: Sql = this.database): Promise<string> {
    const fault = externalIdFault(externalId);
    if (fault !== undefined) throw new ExternalIdInvalidError(fault);
    for (let attempt = 1; attempt <= ENSURE_ATTEMPTS_MAX; attempt += 1) {
      const [present] = await tx.query<{ id: string }>({
        name: 'subscribers.find-id',
        text: `SELECT id FROM subscribers.subscriber WHERE environment_id = $1 AND external_id = $2`,
        values: [environmentId, externalId],
      });
      if (present !== undefined) return present.id;
      const [created] = await tx.query<{ id: string }>({
        name: 'subscribers.create-bare',
        text: `INSERT INTO subscribers.subscriber (environment_id, id, external_id) VALUES ($1, $2, $3)
          ON CONFLICT (environment_id, external_id) DO NOTHING RETURNING id`,
        values: [environmentId, newUuid(), externalId],
      });
      if (created !== undefined) return created.id;
    }
    throw new Error('The subscriber was deleted and created again and again while it was looked up');
  }

  /** The profiles of these ids, for rendering and matching; ids that this environment does not have are left out. */
  async readProfiles(environmentId: string, ids: readonly string[], tx: Sql = this.database): Promise<Map<string, SubscriberProfile>> {
    const rows = await tx.query<SubscriberRow>({
      name: 'subscribers.read-profiles',
      text: `SELECT id, external_id, attributes, locale, time_zone, unsubscribed_at, created_at
        FROM subscribers.subscriber WHERE environment_id = $1 AND id = ANY($2::uuid[])`,
      values: [environmentId, ids],
    });
    return new Map(rows.map((row) => [row.id, toProfile(row)]));
  }

  /** Up to `limit` subscribers after the given id, oldest first. */
  async list(
    environmentId: string,
    page: { readonly afterId?: string | undefined; readonly limit: number },
    tx: Sql = this.database,
  ): Promise<Subscriber[]> {
    const rows = await tx.query<SubscriberRow>({
      name: 'subscribers.list',
      text: `SELECT id, external_id, attributes, locale, time_zone, unsubscribed_at, created_at, updated_at
        FROM subscribers.subscriber WHERE environment_id = $1 AND id > $2 ORDER BY id LIMIT $3`,
      values: [environmentId, page.afterId ?? FIRST_UUID, page.limit],
    });
    return rows.map(toSubscriber);
  }

  /** Deletes a subscriber and gives the id it had; `undefined` when this environment has none. */
  async remove(environmentId: string, externalId: string, tx: Sql = this.database): Promise<string | undefined> {
    if (externalIdFault(externalId) !== undefined) return undefined;
    const [row] = await tx.query<{ id: string }>({
      name: 'subscribers.remove',
      text: `DELETE FROM subscribers.subscriber WHERE environment_id = $1 AND external_id = $2 RETURNING id`,
      values: [environmentId, externalId],
    });
    return row?.id;
  }

  /** Refreshes the planner's statistics over all environments: without them it guesses segments wrong by orders of magnitude. */
  async refreshStatistics(tx: Sql = this.database): Promise<void> {
    await tx.execute({ text: 'ANALYZE subscribers.subscriber' });
  }
}

/** What the statement checks for those who are there must hold for new ones too: merged patches can pass the limit of each part. */
function isWithinLimits(patch: SubscriberPatch): boolean {
  const { kept } = splitAttributes(patch);
  return Object.keys(kept).length <= ATTRIBUTES_MAX && Buffer.byteLength(JSON.stringify(kept), 'utf8') <= ATTRIBUTES_BYTES_MAX;
}

function upsertValues(environmentId: string, patches: readonly SubscriberPatch[], ids: readonly string[]): unknown[] {
  const removed: Record<string, string[]> = Object.create(null);
  const cleared: Record<string, string[]> = Object.create(null);
  const attributes = patches.map((patch) => {
    const fields = [
      ...(patch.locale === null ? ['locale'] : []),
      ...(patch.timeZone === null ? ['time_zone'] : []),
      ...(patch.unsubscribed === false ? ['unsubscribed'] : []),
    ];
    if (fields.length > 0) cleared[patch.externalId] = fields;
    const { kept, removedNames } = splitAttributes(patch);
    if (removedNames.length > 0) removed[patch.externalId] = removedNames;
    return JSON.stringify(kept);
  });
  return [
    environmentId,
    ids,
    patches.map((patch) => patch.externalId),
    attributes,
    patches.map((patch) => patch.locale ?? null),
    patches.map((patch) => patch.timeZone ?? null),
    patches.map((patch) => patch.unsubscribed ?? null),
    JSON.stringify(removed),
    JSON.stringify(cleared),
  ];
}

function splitAttributes(patch: SubscriberPatch): { kept: object; removedNames: string[] } {
  const { attributes } = patch;
  if (attributes === undefined) return { kept: {}, removedNames: [] };
  const removedNames = Object.keys(attributes).filter((name) => attributes[name] === null);
  if (removedNames.length === 0) return { kept: attributes, removedNames };
  return { kept: Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== null)), removedNames };
}

function toProfile(row: SubscriberRow): SubscriberProfile {
  return {
    id: row.id,
    externalId: row.external_id,
    attributes: row.attributes,
    locale: row.locale,
    timeZone: row.time_zone,
    unsubscribedAt: row.unsubscribed_at,
    createdAt: row.created_at,
  };
}

function toSubscriber(row: SubscriberRow): Subscriber {
  return { ...toProfile(row), updatedAt: row.updated_at };
}
