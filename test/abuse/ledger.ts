import { decodeId, decodeMessageId, type IdKind } from '#contracts';
import type { Database } from '#database';
import { waitFor } from '#testing';
import type { AbuseRequest, Fill } from './abuse-request.js';
import type { Answer } from './send-bytes.js';

/** Rows that a successful write must leave, or must not leave any more, by the name of its route. */
const EFFECTS: Readonly<Record<string, { readonly kind: IdKind; readonly sql: string; readonly rows: 0 | 1 }>> = {
  'POST /v1/campaigns': { kind: 'campaign', sql: 'FROM campaigns.campaign WHERE id = ANY ($1)', rows: 1 },
  'POST /v1/campaigns/{campaign_id}/trigger': { kind: 'run', sql: 'FROM campaigns.run WHERE id = ANY ($1)', rows: 1 },
  'POST /v1/segments': { kind: 'segment', sql: 'FROM segments.segment WHERE id = ANY ($1)', rows: 1 },
  'POST /v1/imports': { kind: 'import', sql: 'FROM subscribers.import WHERE id = ANY ($1)', rows: 1 },
  'POST /v1/api-keys': { kind: 'apiKey', sql: 'FROM tenancy.api_key WHERE id = ANY ($1)', rows: 1 },
  'POST /v1/identity-secrets': { kind: 'identitySecret', sql: 'FROM identity.secret WHERE id = ANY ($1)', rows: 1 },
  'POST /v1/identity/break-glass': { kind: 'breakGlass', sql: 'FROM identity.break_glass WHERE id = ANY ($1)', rows: 1 },
  'POST /v1/identity/break-glass/{break_glass_id}/end': {
    kind: 'breakGlass',
    sql: 'FROM identity.break_glass WHERE id = ANY ($1) AND ended_at IS NOT NULL',
    rows: 1,
  },
  'POST /v1/push/subscriptions': { kind: 'device', sql: 'FROM push.device WHERE id = ANY ($1)', rows: 1 },
  'DELETE /v1/segments/{segment_id}': { kind: 'segment', sql: 'FROM segments.segment WHERE id = ANY ($1)', rows: 0 },
  'DELETE /v1/api-keys/{id}': { kind: 'apiKey', sql: 'FROM tenancy.api_key WHERE id = ANY ($1) AND revoked_at IS NULL', rows: 0 },
  'DELETE /v1/push/subscriptions/{device_id}': {
    kind: 'device',
    sql: `FROM push.device WHERE id = ANY ($1) AND state = 'active'`,
    rows: 0,
  },
  'POST /v1/dead-letters/{dead_letter_id}/replay': {
    kind: 'deadLetter',
    sql: `FROM event_log.dead_letter WHERE id = ANY ($1) AND state = 'replayed'`,
    rows: 1,
  },
  'POST /v1/dead-letters/{dead_letter_id}/discard': {
    kind: 'deadLetter',
    sql: `FROM event_log.dead_letter WHERE id = ANY ($1) AND state = 'discarded'`,
    rows: 1,
  },
};
const EXAMPLES_SHOWN_MAX = 5;

/** Counts that are written every few seconds are waited for this long. */
const COUNTED_MS_MAX = 20_000;

/** Rows that a claim without a proof that holds may leave in an environment: how often it was refused. */
const UNPROVEN_ROWS: Readonly<Record<string, string>> = { 'identity.verdict_count': 'NOT admitted' };

/** Notes what the API said it did, and compares it with the tables. */
export class Ledger {
  private readonly ids = new Map<string, Set<string>>();
  private readonly written = new Set<string>();
  private readonly erased = new Set<string>();
  private readonly messageKeys = new Set<string>();
  private engagements = 0;
  private sessions = 0;

  constructor(
    private readonly database: Database,
    private readonly environmentId: string,
  ) {}

  /** Notes an answer; only what the tables can be asked about. */
  note(request: AbuseRequest, answer: Answer, fill: Fill): void {
    if (typeof answer.status !== 'number' || answer.status < 200 || answer.status > 299 || request.raw !== undefined) return;
    // These send a request to another route than the one they are named by.
    if (['path-trick', 'no-id', 'odd-method'].includes(request.mutation)) return;
    const pathId = decodeURIComponent(fill(request.target).split('?', 1)[0]?.split('/')[3] ?? '');
    const document = parse(answer.body);
    const effect = EFFECTS[request.operation];
    if (effect !== undefined) {
      const isInTarget = request.method === 'DELETE' || effect.kind === 'deadLetter';
      const id = decodeId(effect.kind, isInTarget ? idIn(fill(request.target)) : String(document['id']));
      if (id !== undefined) this.ids.set(request.operation, (this.ids.get(request.operation) ?? new Set()).add(id));
    }
    if (request.operation === 'PUT /v1/subscribers/{external_id}') this.written.add(pathId);
    if (request.operation === 'POST /{client_id}/users/{user_id}') this.written.add(pathId);
    if (request.operation === 'DELETE /v1/subscribers/{external_id}') this.erased.add(pathId);
    if (request.operation === 'POST /v1/messages') this.messageKeys.add(decodeMessageId(String(document['id']))?.messageKey ?? '');
    if (request.operation === 'POST /v1/session' && asList(document['scopes']).includes('inbox')) this.sessions += 1;
    if (request.operation === 'POST /v1/engagement') this.engagements += Number(document['accepted'] ?? 0);
  }

  /** What the tables do not confirm, one sentence each. */
  async findFaults(): Promise<string[]> {
    const faults: string[] = [];
    for (const [operation, ids] of this.ids) {
      const effect = EFFECTS[operation];
      if (effect === undefined) continue;
      const present = new Set(await this.column(`SELECT id AS value ${effect.sql}`, [[...ids]]));
      const wrong = [...ids].filter((id) => present.has(id) !== (effect.rows === 1));
      if (wrong.length > 0)
        faults.push(
          `${wrong.length} of ${ids.size} answers of ${operation} have no effect: ${wrong.slice(0, EXAMPLES_SHOWN_MAX).join(', ')}`,
        );
    }
    const people = new Set(
      await this.column('SELECT external_id AS value FROM subscribers.subscriber WHERE environment_id = $1', [this.environmentId]),
    );
    faults.push(
      ...some(
        'subscribers that were written',
        [...this.written].filter((id) => !people.has(id) && !this.erased.has(id)),
      ),
    );
    faults.push(
      ...some(
        'subscribers that were erased are there',
        [...this.erased].filter((id) => people.has(id)),
      ),
    );
    const keys = new Set(
      await this.column(
        `SELECT message_key AS value FROM inbox.message WHERE environment_id = $1 AND run_id IS NULL
         UNION SELECT (convert_from(value, 'UTF8')::jsonb ->> 'message_key')::uuid FROM event_log.dead_letter WHERE environment_id = $1 AND topic = 'inbox.delivery.requested.urgent.v1'`,
        [this.environmentId],
      ),
    );
    faults.push(
      ...some(
        'accepted messages in inboxes or dead letters',
        [...this.messageKeys].filter((key) => !keys.has(key)),
      ),
    );
    if (
      this.engagements > 0 &&
      (await this.column('SELECT kind AS value FROM engagement.receipt WHERE environment_id = $1', [this.environmentId])).length === 0
    )
      faults.push('Engagement was accepted and none was written.');
    if (!(await this.areSessionsCounted())) faults.push(`Less than the ${this.sessions} sessions that were opened are counted.`);
    return [...faults, ...(await this.findCountFaults())];
  }

  /** Every session for the inbox is a verdict that let it in. */
  private async areSessionsCounted(): Promise<boolean> {
    const count = async () =>
      (
        await this.column(
          `SELECT coalesce(sum(verdicts), 0)::text AS value FROM identity.verdict_count WHERE environment_id = $1 AND surface = 'inbox' AND admitted`,
          [this.environmentId],
        )
      )[0];
    const isCounted = async () => Number(await count()) >= this.sessions;
    return waitFor(isCounted, { what: 'the sessions to be counted', timeoutMs: COUNTED_MS_MAX }).then(
      () => true,
      () => false,
    );
  }

  /** The counts of runs against each other and against the rows of inboxes. */
  private async findCountFaults(): Promise<string[]> {
    const wrong = await this.column(
      `WITH told AS (
         SELECT run.id, run.state, sum(delivery.pending) AS pending, sum(delivery.delivered) AS delivered, bool_and(delivery.targeted = delivery.delivered
           + campaigns.sum_reasons(delivery.failed) + campaigns.sum_reasons(delivery.skipped) + delivery.expired + delivery.cancelled + delivery.pending) AS adds_up
         FROM campaigns.run JOIN campaigns.chunk_delivery AS delivery ON delivery.environment_id = run.environment_id AND delivery.run_id = run.id AND channel = 'inbox'
         WHERE run.environment_id = $1 GROUP BY run.id, run.state
       ), counted AS (SELECT run_id, count(*) AS rows FROM inbox.message WHERE environment_id = $1 AND run_id IS NOT NULL GROUP BY run_id)
       SELECT told.id AS value FROM told LEFT JOIN counted ON counted.run_id = told.id
       WHERE NOT adds_up OR told.delivered <> coalesce(rows, 0) OR (state IN ('finished', 'cancelled') AND pending > 0)`,
      [this.environmentId],
    );
    return wrong.length === 0 ? [] : [`The counts of ${wrong.length} runs are not true: ${wrong.slice(0, EXAMPLES_SHOWN_MAX).join(', ')}`];
  }

  private async column(text: string, values: unknown[]): Promise<string[]> {
    return (await this.database.query<{ value: string }>({ text, values })).map(({ value }) => value);
  }
}

/**
 * Each table's rows of one environment as a count and a digest: equal when no row was added, changed or removed. Counts of refused claims are
 * left out: anybody may make them.
 */
export async function fingerprint(database: Database, environmentId: string): Promise<ReadonlyMap<string, string>> {
  const tables = await database.query<{ name: string }>({
    text: `SELECT format('%I.%I', namespace.nspname, class.relname) AS name
      FROM pg_attribute AS attribute JOIN pg_class AS class ON class.oid = attribute.attrelid JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
      WHERE attribute.attname = 'environment_id' AND class.relkind IN ('r', 'p') AND NOT class.relispartition ORDER BY 1`,
  });
  const prints = new Map<string, string>();
  for (const { name } of tables) {
    const [row] = await database.query<{ print: string }>({
      text: `SELECT count(*) || ' rows, ' || md5(coalesce(string_agg(md5(t::text), '' ORDER BY md5(t::text)), '')) AS print FROM ${name} AS t
        WHERE environment_id = $1 AND NOT (${UNPROVEN_ROWS[name] ?? 'false'})`,
      values: [environmentId],
    });
    prints.set(name, row?.print ?? '');
  }
  return prints;
}

function some(what: string, ids: readonly string[]): string[] {
  return ids.length === 0 ? [] : [`${ids.length} ${what}: ${ids.slice(0, EXAMPLES_SHOWN_MAX).join(', ')}`];
}

function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function idIn(target: string): string {
  return (
    target
      .split('?', 1)[0]
      ?.split('/')
      .find((segment) => /^[a-z]{3}_[0-9a-z]{26}$/.test(segment)) ?? ''
  );
}

function parse(body: string): Record<string, unknown> {
  try {
    return (JSON.parse(body) ?? {}) as Record<string, unknown>;
  } catch {
    return {};
  }
}
