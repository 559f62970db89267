/**
 * Guarantee: a run does what its state machine says, and the ledger is true at every moment, through any sequence of commands over several
 * runs at once: trigger (also twice with one key), pause, resume, cancel, records that are handled, late or twice, consumers that are
 * killed in the middle of a transaction, and retries of what stood still. After each command, for every run:
 * - the state is one to which its former state leads,
 * - targeted = delivered + failed + skipped + expired + cancelled + pending, and no more is counted as delivered than exists,
 * - no message comes into being while the run is paused, cancelled or over;
 * and in the end every run is over, with nothing pending: a finished one reached exactly its audience, a cancelled one counts what it had
 * reached, and handling every record once more changes nothing.
 */
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { decodeId } from '#contracts';
import type { Database, Transaction } from '#database';
import { createTestDatabase, FixedClock, fuzzRuns, type TestDatabase } from '#testing';
import { RunStateConflictError } from './campaigns.errors.js';
import { canTransition, isTerminal, RUN_STATES, type RunState } from './run-state.js';
import { Pipeline, type PipelineRecord } from './testing/pipeline.js';

/** Small chunks and batches, so that few people make many of them. */
vi.mock('#contracts', async (importOriginal) => ({
  ...(await importOriginal<typeof import('#contracts')>()),
  CHUNK_SUBSCRIBERS_MAX: 4,
  BATCH_RECIPIENTS_MAX: 4,
}));

const PEOPLE = 11;
/** Every tenth of the stand-in's people has unsubscribed. */
const REACHABLE = 10;
const RUNS_MAX = 3;
const KEYS = ['a', 'b', 'c'] as const;
const STALLED_AFTER_MS = 60_000;
const RECONCILIATIONS_MAX = 20;
const CASES = 40;
const TEST_MS_MAX = 240_000;

class KilledError extends Error {}

/** What the test knows of a run: what the last command left behind. */
interface ModelRun {
  state: RunState;
  messages: number;
}

interface Model {
  readonly runs: ModelRun[];
  /** Which run a key brought forth. */
  readonly byKey: Map<string, number>;
}

/** The real thing: the stories of campaigns on Postgres, with the test in the place of the event log. */
class Real {
  readonly pipeline: Pipeline;
  readonly clock = new FixedClock();
  readonly runIds: string[] = [];
  readonly seen: PipelineRecord[] = [];
  campaignId = '';
  private isKilled = false;

  constructor(readonly database: Database) {
    const killable = new Proxy(database, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name);
        if (name === 'transaction')
          return (work: (tx: Transaction) => Promise<unknown>) => target.transaction((tx) => this.workOn(work, tx));
        return typeof member === 'function' ? member.bind(target) : member;
      },
    });
    this.pipeline = new Pipeline(killable, this.clock);
  }

  async prepare(): Promise<void> {
    await this.pipeline.standIn.seedSubscribers(this.pipeline.environmentId, PEOPLE);
    this.campaignId = await this.pipeline.create({ all: true });
  }

  /** Handles a record whose consumer dies before its transaction commits: it stays where it was. */
  async kill(record: PipelineRecord): Promise<void> {
    this.isKilled = true;
    try {
      await this.pipeline.handle([record]);
    } catch (error) {
      if (!(error instanceof KilledError)) throw error;
    } finally {
      this.isKilled = false;
    }
  }

  async handle(records: readonly PipelineRecord[]): Promise<void> {
    await this.pipeline.handle(records);
    this.remember();
  }

  remember(): void {
    for (const record of this.pipeline.records) if (!this.seen.includes(record)) this.seen.push(record);
  }

  /** Takes a waiting record. */
  take(pick: number): PipelineRecord | undefined {
    const { records } = this.pipeline;
    return records.length === 0 ? undefined : records.splice(pick % records.length, 1)[0];
  }

  async countMessages(index: number): Promise<number> {
    const [row] = await this.database.query<{ messages: number }>({
      text: `SELECT count(*)::integer AS messages FROM campaigns.run JOIN public.stand_in_message USING (environment_id, message_key) WHERE run.id = $1`,
      values: [this.runIds[index]],
    });
    return row?.messages ?? 0;
  }

  private async workOn(work: (tx: Transaction) => Promise<unknown>, tx: Transaction): Promise<unknown> {
    const result = await work(tx);
    if (this.isKilled) throw new KilledError();
    return result;
  }
}

type RunCommand = fc.AsyncCommand<Model, Real, boolean>;

/** A command, and what must be true after any. */
abstract class Checked implements RunCommand {
  check(_model: Readonly<Model>): boolean {
    return true;
  }

  async run(model: Model, real: Real): Promise<void> {
    await this.act(model, real);
    real.remember();
    for (const [index, known] of model.runs.entries()) await checkRun(known, index, real);
  }

  abstract act(model: Model, real: Real): Promise<void>;
  abstract toString(): string;
}

class Trigger extends Checked {
  constructor(private readonly key: string) {
    super();
  }

  override check({ runs, byKey }: Readonly<Model>): boolean {
    return runs.length < RUNS_MAX || byKey.has(this.key);
  }

  async act(model: Model, real: Real): Promise<void> {
    const { pipeline, campaignId, runIds } = real;
    const accepted = await pipeline.triggerRun.trigger(pipeline.environmentId, { campaignId, input: {}, key: this.key });
    const runId = decodeId('run', accepted.id) ?? '';
    const known = model.byKey.get(this.key);
    if (known !== undefined) return expect(runId).toBe(runIds[known]);
    expect(runIds).not.toContain(runId);
    model.byKey.set(this.key, runIds.push(runId) - 1);
    model.runs.push({ state: 'triggered', messages: 0 });
  }

  toString = (): string => `trigger ${this.key}`;
}

class Control extends Checked {
  constructor(
    private readonly action: 'pause' | 'resume' | 'cancel',
    private readonly pick: number,
  ) {
    super();
  }

  override check({ runs }: Readonly<Model>): boolean {
    return runs.length > 0;
  }

  async act({ runs }: Model, real: Real): Promise<void> {
    const index = this.pick % runs.length;
    const state = runs[index]?.state ?? 'failed';
    const outcome = await real.pipeline.control[this.action](real.pipeline.environmentId, real.runIds[index] ?? '').then(
      () => 'done',
      (error: unknown) => (error instanceof RunStateConflictError ? 'refused' : Promise.reject(error)),
    );
    const after = (await real.pipeline.read(real.runIds[index] ?? '')).state;
    const isOver = isTerminal(state) || state === 'cancelling';
    if (this.action === 'cancel')
      expect({ outcome, isCancelled: isOver || ['cancelling', 'cancelled'].includes(after) }).toEqual({
        outcome: 'done',
        isCancelled: true,
      });
    else expect(outcome).toBe(isOver ? 'refused' : 'done');
    if (this.action === 'pause' && !isOver) expect(after).toBe('paused');
    if (isTerminal(state)) expect(after).toBe(state);
  }

  toString = (): string => `${this.action} ${this.pick}`;
}

class Handle extends Checked {
  constructor(
    private readonly how: 'handle' | 'late' | 'repeat' | 'kill' | 'redeliver',
    private readonly pick: number,
  ) {
    super();
  }

  async act(_: Model, real: Real): Promise<void> {
    if (this.how === 'repeat') {
      const record = real.seen[this.pick % Math.max(1, real.seen.length)];
      return record && real.handle([record]);
    }
    const record = real.take(this.pick);
    if (record === undefined) return;
    if (this.how === 'handle' || this.how === 'redeliver') await real.handle([record]);
    if (this.how === 'kill') await real.kill(record);
    // Killed before the commit, or after it and before its offset was committed: the record comes again. A late one waits for its turn.
    if (this.how !== 'handle') real.pipeline.records.push(record);
  }

  toString = (): string => `${this.how} ${this.pick}`;
}

/** The log catches up: everything that waits is handled, also what that brings forth. */
class CatchUp extends Checked {
  async act(_: Model, real: Real): Promise<void> {
    for (let record = real.take(0); record !== undefined; record = real.take(0)) await real.handle([record]);
  }

  toString = (): string => 'catch up';
}

class Retry extends Checked {
  async act(_: Model, real: Real): Promise<void> {
    real.clock.advance(STALLED_AFTER_MS);
    await real.pipeline.reconcileRuns.reconcile(STALLED_AFTER_MS);
  }

  toString = (): string => 'retry';
}

/** Runs pass through more than one state in a command: a last report makes a triggered run of nobody finished. */
const REACHABLE_STATES = new Map(RUN_STATES.map((state) => [state, reachableFrom(state)]));

function reachableFrom(start: RunState): ReadonlySet<RunState> {
  const reached = new Set<RunState>([start]);
  for (const from of reached) for (const to of RUN_STATES) if (canTransition(from, to)) reached.add(to);
  return reached;
}

async function checkRun(known: ModelRun, index: number, real: Real): Promise<void> {
  const { state, counts } = await real.pipeline.read(real.runIds[index] ?? '');
  const messages = await real.countMessages(index);
  const { targeted, delivered, failed, skipped, expired, cancelled, pending } = counts;
  expect(REACHABLE_STATES.get(known.state), `${known.state} became ${state}`).toContain(state);
  expect(delivered + failed + skipped + expired + cancelled + pending).toBe(targeted);
  expect(delivered).toBeLessThanOrEqual(messages);
  expect(messages).toBeLessThanOrEqual(REACHABLE);
  const stoodStill = known.state === state && (state === 'paused' || state === 'cancelling' || isTerminal(state));
  if (stoodStill) expect(messages, `messages of a run that is ${state}`).toBe(known.messages);
  if (isTerminal(state)) expect([delivered, pending]).toEqual([messages, 0]);
  [known.state, known.messages] = [state, messages];
}

/** Lets everything come to its end, steers what is over, and handles all records once more. */
async function finish(model: Model, real: Real): Promise<void> {
  for (const [index, { state }] of model.runs.entries()) if (state === 'paused') await new Control('resume', index).run(model, real);
  for (let round = 0; round < RECONCILIATIONS_MAX && model.runs.some(({ state }) => !isTerminal(state)); round += 1) {
    await new CatchUp().run(model, real);
    real.clock.advance(STALLED_AFTER_MS * 2 ** round);
    await new Retry().run(model, real);
  }
  const ends = await readEnds(model, real);
  for (const [index, { state, counts }] of ends.entries()) {
    expect(['finished', 'cancelled']).toContain(state);
    expect(counts.pending).toBe(0);
    if (state === 'finished') expect([counts.delivered, model.runs[index]?.messages]).toEqual([REACHABLE, REACHABLE]);
  }
  for (const index of model.runs.keys())
    for (const action of ['cancel', 'pause', 'resume'] as const) await new Control(action, index).run(model, real);
  for (const record of real.seen.slice()) await real.handle([record]);
  await new CatchUp().run(model, real);
  expect(await readEnds(model, real)).toEqual(ends);
}

const readEnds = ({ runs }: Model, real: Real) => Promise.all(runs.map((_, index) => real.pipeline.read(real.runIds[index] ?? '')));

describe('the life of runs', () => {
  let test: TestDatabase;

  beforeAll(async () => {
    test = await createTestDatabase();
    await new Pipeline(test.database, new FixedClock()).standIn.prepare();
  });
  afterAll(() => test.close());

  it('is what the state machine says, with a true ledger, under any commands', { timeout: TEST_MS_MAX }, async () => {
    const pick = fc.nat({ max: 50 });
    const command: fc.Arbitrary<RunCommand>[] = [
      fc.constantFrom(...KEYS).map((key) => new Trigger(key)),
      fc.tuple(fc.constantFrom('pause', 'resume', 'cancel'), pick).map(([action, run]) => new Control(action, run)),
      pick.map((record) => new Handle('handle', record)),
      pick.map((record) => new Handle('handle', record)),
      pick.map((record) => new Handle('handle', record)),
      fc.tuple(fc.constantFrom('late', 'repeat', 'kill', 'redeliver'), pick).map(([how, record]) => new Handle(how, record)),
      fc.constant(new CatchUp()),
      fc.constant(new Retry()),
    ];
    const commands = fc.commands<Model, Real, boolean>(command, { maxCommands: 60, size: 'max' });
    await fc.assert(
      fc.asyncProperty(commands, async (sequence) => {
        const [model, real]: [Model, Real] = [{ runs: [], byKey: new Map() }, new Real(test.database)];
        await real.prepare();
        await new Trigger('a').run(model, real);
        await fc.asyncModelRun(() => ({ model, real }), sequence);
        await finish(model, real);
      }),
      { numRuns: fuzzRuns(CASES) },
    );
  });
});
