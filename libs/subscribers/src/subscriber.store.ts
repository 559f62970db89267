import { Injectable } from '@nestjs/common';
import { newUuid } from '#contracts';
import { Database, type Sql } from '#database';
import { claimStatement, claimValues, PROVENANCE_COLUMNS, type ProvenanceRow, toProvenance } from './claim-statement.store.js';
import type { Attributes } from './profile/attribute-value.js';
import type { ClaimedProfile } from './profile/claimed-profile.js';
import type { SubscriberPatch } from './profile/subscriber-patch.js';
import type { Subscriber, SubscriberProfile } from './profile/subscriber-profile.js';
import { ATTRIBUTES_BYTES_MAX, ATTRIBUTES_MAX, UPSERT_BATCH_MAX } from './subscribers.limits.js';
import { AttributesTooManyError, ExternalIdInvalidError } from './subscribers.errors.js';
import { externalIdFault } from './profile/external-id.js';

/** What became of one change of a batch. `refused`: with what is there, the subscriber would have more attributes than are allowed. */
export type UpsertStatus = 'created' | 'updated' | 'refused';

interface ProfileRow {
  readonly id: string;
  readonly external_id: string;
  readonly attributes: Attributes;
  readonly locale: string | null;
  readonly time_zone: string | null;
  readonly unsubscribed_at: Date | null;
  readonly created_at: Date;
}

interface SubscriberRow extends ProfileRow, ProvenanceRow {
  readonly updated_at: Date;
}

const COLUMNS = `id, external_id, attributes, locale, time_zone, unsubscribed_at, created_at, updated_at, ${PROVENANCE_COLUMNS}`;

/** Comes before every UUID that is given out. */
const FIRST_UUID = '00000000-0000-0000-0000-000000000000';
/** A UTF-16 code unit takes at most three bytes in UTF-8. */
const UTF8_BYTES_PER_UNIT_MAX = 3;
/** How often `ensureSubscriber` looks again when somebody deletes the row it has just seen. */
const ENSURE_ATTEMPTS_MAX = 5;

/**
 * Fewest bytes of jsonb that more than `ATTRIBUTES_MAX` attributes can take (a name of one byte, two headers of four bytes). Only beyond it
 * attributes have to be counted, which costs more than to merge them.
 */
const COUNTABLE_BYTES_MIN = 8 + (ATTRIBUTES_MAX + 1) * 9;

const MERGED = 'subscribers.merge_attributes(present.attributes, excluded.attributes, $8::jsonb -> excluded.external_id)';

/** Notes about the attributes that this change leaves alone. Few people have any, so the function is asked only for those. */
function remainingNotes(column: 'unverified_attributes' | 'attribute_proofs'): string {
  return `CASE WHEN present.${column} IS NOT NULL
      THEN subscribers.drop_notes(present.${column}, excluded.attributes, $8::jsonb -> excluded.external_id) END`;
}

/**
 * One statement for one change and for a thousand. Whoever may write through it vouches for what is written: what was unverified or proven by a page under the same names goes. Rows are locked in the order of the input, which is sorted by external id: two
 * overlapping batches wait for each other and never deadlock. `excluded` cannot carry "clear this", so what a change clears comes beside
 * the rows, by external id: $8 the removed attributes, $9 the cleared fields. Rows that would grow too large are not touched and not
 * returned. Attributes come as one JSON list: as items of an array of texts, each of their quotes would be escaped once more.
 */
const UPSERT = `
  INSERT INTO subscribers.subscriber AS present (environment_id, id, external_id, attributes, locale, time_zone, unsubscribed_at)
  SELECT $1::uuid, input.id, input.external_id, input.attributes, input.locale, input.time_zone, CASE WHEN input.unsubscribed THEN now() END
  FROM ROWS FROM (
    unnest($2::uuid[]), unnest($3::text[]), jsonb_array_elements($4::jsonb), unnest($5::text[]), unnest($6::text[]), unnest($7::boolean[])
  ) AS input (id, external_id, attributes, locale, time_zone, unsubscribed)
  ON CONFLICT (environment_id, external_id) DO UPDATE SET
    attributes = ${MERGED},
    locale = CASE WHEN $9::jsonb -> excluded.external_id ? 'locale' THEN NULL ELSE coalesce(excluded.locale, present.locale) END,
    time_zone = CASE WHEN $9::jsonb -> excluded.external_id ? 'time_zone' THEN NULL ELSE coalesce(excluded.time_zone, present.time_zone) END,
    unsubscribed_at = CASE WHEN $9::jsonb -> excluded.external_id ? 'unsubscribed' THEN NULL
      ELSE coalesce(present.unsubscribed_at, excluded.unsubscribed_at) END,
    verified = true,
    unverified_attributes = ${remainingNotes('unverified_attributes')},
    attribute_proofs = ${remainingNotes('attribute_proofs')},
    updated_at = now()
  WHERE CASE WHEN pg_column_size(${MERGED}) < ${COUNTABLE_BYTES_MIN} THEN true
    ELSE pg_column_size(${MERGED}) <= ${ATTRIBUTES_BYTES_MAX} AND (SELECT count(*) FROM jsonb_object_keys(${MERGED})) <= ${ATTRIBUTES_MAX} END
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
    const proposed = toUpsertRow(patch);
    const [row] = await tx.query<SubscriberRow>({
      name: 'subscribers.upsert',
      text: `${UPSERT} ${COLUMNS}`,
      values: upsertValues(environmentId, [proposed]),
    });
    if (row === undefined) throw new AttributesTooManyError();
    return { subscriber: toSubscriber(row), created: row.id === proposed.proposedId };
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
    const sorted = patches.map(toUpsertRow).filter(isWithinLimits);
    sorted.sort((left, right) => (left.patch.externalId < right.patch.externalId ? -1 : 1));
    const rows = await tx.query<{ id: string; external_id: string }>({
      name: 'subscribers.upsert-many',
      text: `${UPSERT} id, external_id`,
      values: upsertValues(environmentId, sorted),
    });
    const proposed = new Set(sorted.map((row) => row.proposedId));
    const statuses = new Map<string, UpsertStatus>(patches.map((patch) => [patch.externalId, 'refused']));
    for (const row of rows) statuses.set(row.external_id, proposed.has(row.id) ? 'created' : 'updated');
    return statuses;
  }

  /**
   * Writes what a page says of a person, creating the subscriber where there is none.
   *
   * @throws AttributesTooManyError when the subscriber would have more attributes, verified or not, than are allowed.
   */
  async applyClaim(environmentId: string, claim: ClaimedProfile, tx: Sql = this.database): Promise<Subscriber> {
    const values = claimValues(environmentId, claim);
    if (values === undefined) throw new AttributesTooManyError();
    const [row] = await tx.query<SubscriberRow>({
      name: 'subscribers.apply-claim',
      text: claimStatement('subscribers.subscriber', COLUMNS),
      values,
    });
    if (row === undefined) throw new AttributesTooManyError();
    return toSubscriber(row);
  }

  /** The subscriber with this external id; `undefined` when this environment has none. */
  async findByExternalId(environmentId: string, externalId: string, tx: Sql = this.database): Promise<Subscriber | undefined> {
    // Postgres cannot even be asked for an id with a NUL character or a lone surrogate.
    if (externalIdFault(externalId) !== undefined) return undefined;
    const [row] = await tx.query<SubscriberRow>({
      name: 'subscribers.find-by-external-id',
      text: `SELECT ${COLUMNS}
        FROM subscribers.subscriber WHERE environment_id = $1 AND external_id = $2`,
      values: [environmentId, externalId],
    });
    return row === undefined ? undefined : toSubscriber(row);
  }

  /**
   * The id of the subscriber with this external id, who is created without attributes when there is none. With a proof behind it
   * (`verified`), a subscriber that was only named so far is verified from now on.
   *
   * @throws ExternalIdInvalidError
   */
  async ensureSubscriber(environmentId: string, externalId: string, tx: Sql = this.database, verified = true): Promise<string> {
    const fault = externalIdFault(externalId);
    if (fault !== undefined) throw new ExternalIdInvalidError(fault);
    for (let attempt = 1; attempt <= ENSURE_ATTEMPTS_MAX; attempt += 1) {
      const [present] = await tx.query<{ id: string; verified: boolean }>({
        name: 'subscribers.find-id',
        text: `SELECT id, verified FROM subscribers.subscriber WHERE environment_id = $1 AND external_id = $2`,
        values: [environmentId, externalId],
      });
      if (present !== undefined && verified && !present.verified) await this.markVerified(environmentId, present.id, tx);
      if (present !== undefined) return present.id;
      const [created] = await tx.query<{ id: string }>({
        name: 'subscribers.create-bare',
        text: `INSERT INTO subscribers.subscriber (environment_id, id, external_id, verified) VALUES ($1, $2, $3, $4)
          ON CONFLICT (environment_id, external_id) DO NOTHING RETURNING id`,
        values: [environmentId, newUuid(), externalId, verified],
      });
      if (created !== undefined) return created.id;
    }
    throw new Error('The subscriber was deleted and created again and again while it was looked up');
  }

  private async markVerified(environmentId: string, id: string, tx: Sql): Promise<void> {
    await tx.execute({
      name: 'subscribers.mark-verified',
      text: `UPDATE subscribers.subscriber SET verified = true, updated_at = now() WHERE environment_id = $1 AND id = $2`,
      values: [environmentId, id],
    });
  }

  /** The profiles of these ids, for rendering and matching; ids that this environment does not have are left out. */
  async readProfiles(environmentId: string, ids: readonly string[], tx: Sql = this.database): Promise<Map<string, SubscriberProfile>> {
    const rows = await tx.query<ProfileRow>({
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
      text: `SELECT ${COLUMNS}
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

/** A patch in the form in which the statement takes it. */
interface UpsertRow {
  readonly patch: SubscriberPatch;
  readonly proposedId: string;
  /** The attributes to write, as JSON. */
  readonly attributes: string;
  readonly attributeCount: number;
  /** Names of removed attributes with null values; `undefined` when there are none. */
  readonly removed: Readonly<Record<string, null>> | undefined;
}

function toUpsertRow(patch: SubscriberPatch): UpsertRow {
  const attributes = patch.attributes ?? {};
  const names = Object.keys(attributes);
  const removedNames = names.filter((name) => attributes[name] === null);
  const row = { patch, proposedId: newUuid(), attributeCount: names.length - removedNames.length };
  if (removedNames.length === 0) return { ...row, attributes: JSON.stringify(attributes), removed: undefined };
  const kept = Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== null));
  return { ...row, attributes: JSON.stringify(kept), removed: Object.fromEntries(removedNames.map((name) => [name, null])) };
}

/** What the statement checks for those who are there must hold for new ones too: merged patches can pass the limit of each part. */
function isWithinLimits(row: UpsertRow): boolean {
  const isSmall = row.attributes.length * UTF8_BYTES_PER_UNIT_MAX <= ATTRIBUTES_BYTES_MAX;
  return row.attributeCount <= ATTRIBUTES_MAX && (isSmall || Buffer.byteLength(row.attributes, 'utf8') <= ATTRIBUTES_BYTES_MAX);
}

function upsertValues(environmentId: string, rows: readonly UpsertRow[]): unknown[] {
  const removed: Record<string, object> = Object.create(null);
  const cleared: Record<string, string[]> = Object.create(null);
  for (const row of rows) {
    const { externalId, locale, timeZone, unsubscribed } = row.patch;
    if (row.removed !== undefined) removed[externalId] = row.removed;
    if (locale !== null && timeZone !== null && unsubscribed !== false) continue;
    cleared[externalId] = [
      ...(locale === null ? ['locale'] : []),
      ...(timeZone === null ? ['time_zone'] : []),
      ...(unsubscribed === false ? ['unsubscribed'] : []),
    ];
  }
  return [
    environmentId,
    rows.map((row) => row.proposedId),
    rows.map((row) => row.patch.externalId),
    `[${rows.map((row) => row.attributes).join(',')}]`,
    rows.map((row) => row.patch.locale ?? null),
    rows.map((row) => row.patch.timeZone ?? null),
    rows.map((row) => row.patch.unsubscribed ?? null),
    JSON.stringify(removed),
    JSON.stringify(cleared),
  ];
}

function toProfile(row: ProfileRow): SubscriberProfile {
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
  return { ...toProfile(row), ...toProvenance(row), updatedAt: row.updated_at };
}
