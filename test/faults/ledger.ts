/**
 * The one ledger of a fault campaign. It reads the tables and the push service's own record, and nothing that Belfry answers: what was
 * accepted stands on one side, what became of it on the other.
 */
import { createHash } from 'node:crypto';
import { decodeId, decodeMessageId, TOPICS } from '#contracts';
import type { Database } from '#database';
import type { PushPerson } from '../support/push-audience.js';
import { POISON } from './disturbances.js';
import type { DeliveryKey, InFlight } from './in-flight.js';
import { SinkRecord } from './sink-record.js';
import type { AcceptedCalls } from './traffic.js';

/** What a ledger is drawn from. */
export interface LedgerParts {
  readonly database: Database;
  readonly people: readonly PushPerson[];
  /** External ids of those whom no campaign may reach. */
  readonly unsubscribed: ReadonlySet<string>;
  readonly accepted: AcceptedCalls;
  readonly sink: SinkRecord;
  readonly inFlight: InFlight;
  /** Records that nobody can read, per topic. */
  readonly poisoned: number;
}

/** Somebody with whom something went wrong. */
export interface WrongRecipient extends DeliveryKey {
  readonly what: string;
}

/** The balance. All of `faults` and `wrong` are broken promises. */
export interface Balance {
  readonly targeted: number;
  readonly delivered: number;
  readonly failed: number;
  readonly skipped: number;
  readonly expired: number;
  readonly cancelled: number;
  readonly pending: number;
  /** Recipients without their inbox row or the end of their push delivery, and messages counted as taken that the service never took. */
  readonly lost: number;
  /** Inbox rows and deliveries beyond one per recipient, or of people whom no campaign may reach. */
  readonly duplicateRows: number;
  /** People counted in engagement beyond those with a receipt. */
  readonly duplicateReceipts: number;
  /** Accepted push requests beyond one per message. */
  readonly duplicatePushRequests: number;
  readonly inFlightAtKills: number;
  readonly deadLetters: number;
  readonly faults: readonly string[];
  readonly wrong: readonly WrongRecipient[];
}

const SHOWN_MAX = 10;
/** Groups in which every gateway reads every record, and none goes on where another one stopped. */
const BROADCAST = / in gateway\.announce-/;
const COUNTS = ['targeted', 'delivered', 'failed', 'skipped', 'expired', 'cancelled', 'pending'] as const;
type Counts = Record<(typeof COUNTS)[number], number>;

interface RunRow extends Counts {
  readonly id: string;
  readonly messageKey: string;
  readonly state: string;
  readonly channel: 'inbox' | 'push';
  /** What the run froze when it was closed. */
  readonly frozen: { readonly [count in keyof Counts]: number | Readonly<Record<string, number>> } | null;
}

interface DeliveryRow extends DeliveryKey {
  readonly state: string;
  readonly isSingle: boolean;
  /** Attempts to which no answer came, as when the service broke the connection: it may have taken the message before. */
  readonly unanswered: number;
}

/** Draws the balance. It can be drawn again and again while consumers still work: it is final once nothing of it changes. */
export async function drawLedger(parts: LedgerParts): Promise<Balance> {
  return new Ledger(parts).draw();
}

class Ledger {
  private readonly faults: string[] = [];
  private readonly wrong: WrongRecipient[] = [];
  private lost = 0;
  private duplicateRows = 0;
  private readonly expected: readonly PushPerson[];

  constructor(private readonly parts: LedgerParts) {
    this.expected = parts.people.filter(({ externalId }) => !parts.unsubscribed.has(externalId));
  }

  async draw(): Promise<Balance> {
    const runs = await this.readRuns();
    const deliveries = await this.readDeliveries();
    this.checkRuns(runs);
    await this.checkInbox(runs);
    this.checkDeliveries(runs, deliveries);
    const duplicatePushRequests = this.checkSink(deliveries);
    await this.checkMessages(deliveries);
    const duplicateReceipts = await this.checkEngagement();
    await this.checkMarks();
    const deadLetters = await this.checkDeadLetters();
    const sum = (count: keyof Counts): number => runs.reduce((total, run) => total + run[count], 0);
    const sums = Object.fromEntries(COUNTS.map((count) => [count, sum(count)])) as Counts;
    const { inFlight } = this.parts;
    if (duplicatePushRequests > inFlight.total) this.faults.push('More push requests were repeated than were in flight.');
    return {
      ...sums,
      lost: this.lost,
      duplicateRows: this.duplicateRows,
      duplicateReceipts,
      duplicatePushRequests,
      inFlightAtKills: inFlight.total,
      deadLetters,
      faults: this.faults,
      wrong: this.wrong.toSorted(byName).slice(0, SHOWN_MAX),
    };
  }

  /** One row for each run and channel, summed from its chunks. */
  private async readRuns(): Promise<RunRow[]> {
    return this.query<RunRow>(
      `SELECT run.id, run.message_key AS "messageKey", run.state, named.channel, run.counts -> named.channel AS frozen,
         coalesce(sum(targeted), 0)::integer AS targeted, coalesce(sum(delivered), 0)::integer AS delivered,
         coalesce(sum(campaigns.sum_reasons(failed)), 0)::integer AS failed, coalesce(sum(campaigns.sum_reasons(skipped)), 0)::integer AS skipped,
         coalesce(sum(expired), 0)::integer AS expired, coalesce(sum(cancelled), 0)::integer AS cancelled, coalesce(sum(pending), 0)::integer AS pending
       FROM campaigns.run CROSS JOIN unnest(run.channels) AS named (channel)
       LEFT JOIN campaigns.chunk_delivery AS delivery
         ON delivery.environment_id = run.environment_id AND delivery.run_id = run.id AND delivery.channel = named.channel
       GROUP BY run.environment_id, run.id, named.channel ORDER BY run.id, named.channel`,
    );
  }

  private async readDeliveries(): Promise<DeliveryRow[]> {
    return this.query<DeliveryRow>(
      `SELECT message_key AS "messageKey", subscriber_id AS "subscriberId", delivery.state, batch.run_id IS NULL AS "isSingle",
         jsonb_array_length(jsonb_path_query_array(coalesce(delivery.earlier_attempts, '[]'),
           '$[*] ? (@.outcome == "transient" && @.http_status == null)')) AS unanswered
       FROM push.delivery JOIN push.batch USING (environment_id, message_key, chunk_no)`,
    );
  }

  /** Every accepted trigger is a run, every run is over, and its numbers add up and are those that it froze. */
  private checkRuns(runs: readonly RunRow[]): void {
    const { accepted, people } = this.parts;
    const known = new Set(runs.map(({ id }) => id));
    const acceptedIds = accepted.runIds.map((id) => decodeId('run', id) ?? id);
    this.differ(
      'accepted triggers without a run',
      acceptedIds.filter((id) => !known.has(id)),
    );
    this.differ(
      'runs that nobody triggered',
      [...known].filter((id) => !acceptedIds.includes(id)),
    );
    for (const run of runs) {
      const { targeted, delivered, failed, skipped, expired, cancelled, pending } = run;
      const name = `run ${run.id} on ${run.channel}`;
      if (run.state !== 'finished') this.faults.push(`${name} is ${run.state}.`);
      if (pending !== 0) this.faults.push(`${name} has ${pending} pending.`);
      if (targeted !== people.length) this.faults.push(`${name} targeted ${targeted} of ${people.length} people.`);
      if (targeted !== delivered + failed + skipped + expired + cancelled + pending) this.faults.push(`${name} does not add up.`);
      if (skipped !== this.parts.unsubscribed.size) this.faults.push(`${name} skipped ${skipped} people.`);
      if (run.frozen !== null && !COUNTS.every((count) => sumOf(run.frozen?.[count]) === run[count]))
        this.faults.push(`${name} froze ${JSON.stringify(run.frozen)} when its chunks say ${JSON.stringify(pick(run))}.`);
    }
  }

  /** The inbox holds exactly the expected people for each run, once each, and the counts say so. */
  private async checkInbox(runs: readonly RunRow[]): Promise<void> {
    const ids = this.expected.map(({ id }) => id);
    for (const run of runs.filter(({ channel }) => channel === 'inbox')) {
      const rows = await this.query<{ subscriberId: string }>(
        'SELECT subscriber_id AS "subscriberId" FROM inbox.message WHERE run_id = $1',
        [run.id],
      );
      this.compare(run, { rows, ids, what: 'inbox row' });
      if (rows.length !== run.delivered) this.faults.push(`run ${run.id} counts ${run.delivered} in inboxes and has ${rows.length} rows.`);
    }
  }

  /** Each expected person has one delivery for each run, and it has come to an end that is counted as it is. */
  private checkDeliveries(runs: readonly RunRow[], deliveries: readonly DeliveryRow[]): void {
    const byRun = groupBy(
      deliveries.filter(({ isSingle }) => !isSingle),
      ({ messageKey }) => messageKey,
    );
    const ids = this.expected.map(({ id }) => id);
    for (const run of runs.filter(({ channel }) => channel === 'push')) {
      const rows = byRun.get(run.messageKey) ?? [];
      this.compare(run, { rows, ids, what: 'push delivery' });
      for (const row of rows.filter(({ state }) => state === 'queued' || state === 'sending'))
        this.miss(row, `push delivery is ${row.state}`);
      const recount = (states: readonly string[]): number => rows.filter(({ state }) => states.includes(state)).length;
      const [delivered, failed, expired] = [recount(['accepted']), recount(['failed', 'gone']), recount(['expired'])];
      if (delivered !== run.delivered || failed !== run.failed || expired !== run.expired)
        this.faults.push(
          `run ${run.id} counts ${JSON.stringify(pick(run))} on push and has ${delivered} accepted, ${failed} failed, ${expired} expired.`,
        );
    }
  }

  private compare(
    { id, messageKey }: RunRow,
    { rows, ids, what }: { rows: readonly { subscriberId: string }[]; ids: readonly string[]; what: string },
  ): void {
    const seen = new Set<string>();
    const wanted = new Set(ids);
    for (const { subscriberId } of rows) {
      if (seen.has(subscriberId) || !wanted.has(subscriberId)) {
        this.duplicateRows += 1;
        this.wrong.push({ messageKey, subscriberId, what: `one ${what} too many in run ${id}` });
      }
      seen.add(subscriberId);
    }
    for (const subscriberId of ids) if (!seen.has(subscriberId)) this.miss({ messageKey, subscriberId }, `no ${what} in run ${id}`);
  }

  /**
   * The service took what is counted as taken, and nothing twice but what it never answered, and what was in flight when its sender was
   * stopped.
   *
   * @returns how many requests only the latter explains
   */
  private checkSink(deliveries: readonly DeliveryRow[]): number {
    const { sink, inFlight, people } = this.parts;
    const deviceOf = new Map(people.map(({ id, deviceId }) => [id, deviceId]));
    const known = new Set<string>();
    let duplicates = 0;
    for (const delivery of deliveries) {
      const key = SinkRecord.keyOf(deviceOf.get(delivery.subscriberId) ?? '', topicOf(delivery));
      known.add(key);
      const requests = sink.accepted.get(key) ?? 0;
      if (delivery.state === 'accepted' && requests === 0) this.miss(delivery, 'counted as taken, and the push service never took it');
      if (delivery.state !== 'accepted' && requests > 0 && !inFlight.has(delivery))
        this.wrong.push({ ...delivery, what: `taken by the push service and ${delivery.state} here` });
      const repeats = requests - 1 - delivery.unanswered;
      if (repeats <= 0) continue;
      duplicates += repeats;
      if (!inFlight.has(delivery))
        this.wrong.push({ ...delivery, what: `sent ${requests} times although it was not in flight at any kill` });
    }
    this.differ(
      'messages at the push service that nobody queued',
      [...sink.accepted.keys()].filter((key) => !known.has(key)),
    );
    return duplicates;
  }

  /** Single messages: each accepted call is one message, in the inbox and on the device. */
  private async checkMessages(deliveries: readonly DeliveryRow[]): Promise<void> {
    const rows = await this.query<DeliveryKey & { inInbox: boolean }>(
      `SELECT single.message_key AS "messageKey", single.subscriber_id AS "subscriberId", message.message_key IS NOT NULL AS "inInbox"
       FROM campaigns.single_message AS single LEFT JOIN inbox.message USING (environment_id, message_key, subscriber_id)`,
    );
    const made = new Map(rows.map((row) => [row.messageKey, row]));
    const pushed = new Map(deliveries.map((delivery) => [delivery.messageKey, delivery]));
    for (const messageId of this.parts.accepted.messageIds) {
      const key = decodeMessageId(messageId);
      if (key === undefined) throw new Error(`${messageId} is no message id.`);
      if (made.get(key.messageKey)?.inInbox !== true) this.miss(key, 'accepted as a single message, and not in the inbox');
      if (pushed.get(key.messageKey)?.state !== 'accepted')
        this.miss(key, `accepted as a single message, and ${pushed.get(key.messageKey)?.state ?? 'not queued'} on push`);
    }
    const extra = rows.length - new Set(this.parts.accepted.messageIds).size;
    if (extra !== 0)
      this.faults.push(`There are ${rows.length} single messages of ${this.parts.accepted.messageIds.length} accepted calls.`);
    this.duplicateRows += Math.max(0, extra);
  }

  /** Each accepted report is a receipt, and the statistics count each person with a receipt once. @returns people counted too often */
  private async checkEngagement(): Promise<number> {
    const receipts = await this.query<DeliveryKey & { channel: string; kind: string }>(
      'SELECT message_key AS "messageKey", subscriber_id AS "subscriberId", channel, kind FROM engagement.receipt',
    );
    const found = new Set(
      receipts.map(({ messageKey, subscriberId, channel, kind }) => `${messageKey} ${subscriberId} ${channel} ${kind}`),
    );
    const { reports, inboxChanges } = this.parts.accepted;
    const told = [
      ...[...reports].map((report) => [...report.split(' '), 'push']),
      ...[...inboxChanges.read].map((id) => [id, 'read', 'inbox']),
      ...[...inboxChanges.archive].map((id) => [id, 'archived', 'inbox']),
    ];
    for (const [id = '', kind, channel] of told) {
      const key = decodeMessageId(id);
      if (key === undefined || !found.has(`${key.messageKey} ${key.subscriberId} ${channel} ${kind}`))
        this.wrong.push({ messageKey: '', subscriberId: '', ...key, what: `reported as ${kind} on ${channel}, and there is no receipt` });
    }
    const counted = await this.query<{ name: string; subscribers: number }>(
      `SELECT concat_ws(' ', message_key, channel, kind) AS name, subscribers FROM engagement.message_count`,
    );
    const recounted = new Map<string, number>();
    for (const { messageKey, channel, kind } of receipts)
      recounted.set(`${messageKey} ${channel} ${kind}`, (recounted.get(`${messageKey} ${channel} ${kind}`) ?? 0) + 1);
    for (const { name, subscribers } of counted)
      if (subscribers !== recounted.get(name))
        this.faults.push(`Engagement counts ${subscribers} of ${name}; there are ${recounted.get(name) ?? 0} receipts.`);
    if (counted.length !== recounted.size) this.faults.push(`Engagement counts ${counted.length} kinds; receipts have ${recounted.size}.`);
    return counted.reduce((sum, { name, subscribers }) => sum + Math.max(0, subscribers - (recounted.get(name) ?? 0)), 0);
  }

  /** What people did in their inboxes and what was written about them stands there. */
  private async checkMarks(): Promise<void> {
    const { marks, inboxChanges } = this.parts.accepted;
    const rows = await this.query<{ externalId: string; mark: string }>(
      `SELECT external_id AS "externalId", attributes ->> 'mark' AS mark FROM subscribers.subscriber WHERE attributes ? 'mark'`,
    );
    const written = new Map(rows.map(({ externalId, mark }) => [externalId, mark]));
    this.differ(
      'accepted marks of people that are not there',
      [...marks].filter(([id, mark]) => written.get(id) !== mark).map(([id]) => id),
    );
    const changed = await this.query<DeliveryKey & { isArchived: boolean }>(
      `SELECT message_key AS "messageKey", subscriber_id AS "subscriberId", archived_at IS NOT NULL AS "isArchived" FROM inbox.message WHERE read_at IS NOT NULL`,
    );
    const states = new Map(changed.map((row) => [`${row.messageKey} ${row.subscriberId}`, row]));
    for (const [action, ids] of Object.entries(inboxChanges)) {
      for (const id of ids) {
        const key = decodeMessageId(id) ?? { messageKey: '', subscriberId: '' };
        const row = states.get(`${key.messageKey} ${key.subscriberId}`);
        if (row === undefined || (action === 'archive' && !row.isArchived))
          this.wrong.push({ ...key, what: `accepted: ${action}, and it is not so` });
      }
    }
  }

  /** Only what nobody can read is set aside, in every topic, once in each group; nothing waits in the outbox. */
  private async checkDeadLetters(): Promise<number> {
    const rows = await this.query<{ topic: string; groupName: string; value: string; reason: string }>(
      `SELECT topic, group_name AS "groupName", encode(value, 'escape') AS value, reason_code || ': ' || reason_message AS reason FROM event_log.dead_letter`,
    );
    const honest = rows.filter(({ value }) => !value.startsWith(POISON));
    this.differ(
      'dead letters of honest records',
      honest.map(({ topic, groupName, reason }) => `${topic} in ${groupName}: ${reason}`),
    );
    const poisons = groupBy(
      rows.filter(({ value }) => value.startsWith(POISON)),
      ({ topic, groupName }) => `${topic} in ${groupName}`,
    );
    for (const [place, letters] of poisons) {
      const values = new Set(letters.map(({ value }) => value)).size;
      // A gateway that starts reads its broadcasts from their end: what comes while none runs is for nobody.
      const isComplete = BROADCAST.test(place) ? values <= this.parts.poisoned : values === this.parts.poisoned;
      if (!isComplete) this.faults.push(`${values} of ${this.parts.poisoned} poisonous records of ${place} are dead letters.`);
    }
    const topics = new Set(rows.map(({ topic }) => topic)).size;
    if (this.parts.poisoned > 0 && topics !== TOPICS.length) this.faults.push(`Poison came out of ${topics} of ${TOPICS.length} topics.`);
    const [waiting] = await this.query<{ records: number }>('SELECT count(*)::integer AS records FROM event_log.outbox');
    if (waiting?.records !== 0) this.faults.push(`${waiting?.records} records wait in the outbox.`);
    return rows.length;
  }

  private miss(key: DeliveryKey, what: string): void {
    this.lost += 1;
    this.wrong.push({ messageKey: key.messageKey, subscriberId: key.subscriberId, what });
  }

  private differ(what: string, names: readonly string[]): void {
    if (names.length > 0) this.faults.push(`${names.length} ${what}: ${names.toSorted().slice(0, SHOWN_MAX).join(', ')}`);
  }

  private query<Row extends object>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    return this.parts.database.query<Row>({ text, values: [...values] });
  }
}

/** The Topic header of a message, as docs/push-outcomes.md says how it is made. */
function topicOf({ messageKey, subscriberId }: DeliveryKey): string {
  return createHash('sha256').update(`${messageKey}:${subscriberId}`).digest().subarray(0, 24).toString('base64url');
}

function sumOf(count: number | Readonly<Record<string, number>> | undefined): number {
  if (typeof count === 'number') return count;
  return Object.values(count ?? {}).reduce((sum, value) => sum + value, 0);
}

function pick(run: Counts): Counts {
  return Object.fromEntries(COUNTS.map((count) => [count, run[count]])) as Counts;
}

function groupBy<Item>(items: readonly Item[], keyOf: (item: Item) => string): ReadonlyMap<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}

/** The same recipients first at each draw, in whatever order Postgres reads the rows: else a balance that stands would seem to change. */
function byName(one: WrongRecipient, other: WrongRecipient): number {
  const nameOf = ({ messageKey, subscriberId, what }: WrongRecipient): string => `${messageKey} ${subscriberId} ${what}`;
  return nameOf(one) < nameOf(other) ? -1 : 1;
}
