import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { NestLogger } from './nest-logger.js';
import { formatLogLine } from './pretty-stream.js';
import { createWideLogger, type WideLoggerOptions } from './wide-logger.js';

function createRecorder(options: Partial<WideLoggerOptions> = {}) {
  const lines: string[] = [];
  const logger = createWideLogger({
    service: 'test',
    level: 'debug',
    format: 'json',
    destination: { write: (line) => void lines.push(line) },
    ...options,
  });
  return { logger, lines, records: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

describe('WideLogger', () => {
  it('writes one JSON line per event with level, time, service, name and fields', () => {
    const { logger, records } = createRecorder();
    logger.info('inbox.batch.delivered', { run_id: 'run_1', delivered: 3, offset: 12n });
    expect(records()).toEqual([
      {
        level: 'info',
        time: expect.stringMatching(/^\d{4}-.*Z$/),
        service: 'test',
        event: 'inbox.batch.delivered',
        run_id: 'run_1',
        delivered: 3,
        offset: '12',
      },
    ]);
  });

  it('writes nothing below its level', () => {
    const { logger, lines } = createRecorder({ level: 'warn' });
    logger.info('quiet');
    logger.warn('loud');
    expect(lines).toHaveLength(1);
  });

  it.each([
    'authorization',
    'Cookie',
    'endpoint',
    'subscriber_hash',
    'apiToken',
    'x-secret',
    'p256dh',
    'auth',
    'payload',
    'payloads',
    'DATABASE_URL',
  ])('never writes the value of a field named %s, at any depth', (name) => {
    const { logger, lines } = createRecorder();
    logger.info('leak', { [name]: 'hunter2', deep: [{ [name]: { inner: 'hunter2' } }] });
    expect(lines[0]).not.toContain('hunter2');
    expect(lines[0]).toContain('[redacted]');
  });

  it('writes counts and sizes, whatever their name', () => {
    const { logger, records } = createRecorder();
    logger.info('sized', { payload_bytes: 10, token_present: true, authored_at: 'x' });
    expect(records()[0]).toMatchObject({ payload_bytes: 10, token_present: true, authored_at: 'x' });
  });

  it('unfolds errors with their causes, without what drivers hang on them', () => {
    const { logger, records, lines } = createRecorder();
    const driverError = Object.assign(new Error('duplicate key'), {
      code: '23505',
      detail: 'Key (email)=(ada@example.com)',
      query: 'INSERT',
    });
    logger.error('store.failed', {}, new Error('could not store', { cause: driverError }));
    expect(records()[0]).toMatchObject({ error: { message: 'could not store', cause: { message: 'duplicate key', code: '23505' } } });
    expect(lines[0]).not.toContain('ada@example.com');
  });

  it('survives cycles, depth, size, invalid dates and bytes', () => {
    const { logger, records } = createRecorder();
    const cycle: Record<string, unknown> = { bytes: Buffer.from('secret bytes'), at: new Date(Number.NaN) };
    cycle['self'] = cycle;
    logger.info('odd', { cycle, long: 'x'.repeat(10_000), many: Array.from({ length: 1_000 }, (_, index) => index) });
    expect(records()[0]).toMatchObject({ cycle: { bytes: '12 bytes', at: 'invalid date', self: '[circular]' } });
    expect(JSON.stringify(records()[0]).length).toBeLessThan(6_000);
  });
});

describe('formatLogLine', () => {
  it('shows time, level, event and fields on one line and the stack below', () => {
    const { logger, lines } = createRecorder();
    logger.warn('lane.paused', { lane: 'fcm', note: 'two words' }, new Error('slow down'));
    const text = stripVTControlCharacters(formatLogLine(lines[0] ?? ''));
    expect(text).toMatch(/^\d\d:\d\d:\d\d\.\d{3} WARN  lane\.paused lane=fcm note="two words"\n  Error: slow down\n/);
  });

  it('lets no logged text forge lines or move the cursor', () => {
    const { logger, lines } = createRecorder();
    logger.warn('x', { note: 'a\n12:00 ERROR fake\u001b[2J\u009b2J' }, new Error('b\u001b[2J'));
    const text = formatLogLine(lines[0] ?? '');
    for (const forged of ['\u001b[2J', '\u009b', '\n12:00']) expect(text).not.toContain(forged);
    expect(text).toContain(String.raw`\u001b[2J`);
  });

  it('passes on what is not JSON', () => {
    expect(formatLogLine('plain\n')).toBe('plain\n');
  });
});

describe('NestLogger', () => {
  it("makes Nest's chatter debug events and keeps its errors", () => {
    const { logger, records } = createRecorder();
    const nest = new NestLogger(logger);
    nest.log('Mapped {/x}', 'RouterExplorer');
    nest.error('It broke', 'Error: It broke\n    at x', 'ExceptionsHandler');
    expect(records()).toMatchObject([
      { level: 'debug', event: 'nest.logged', message: 'Mapped {/x}', context: 'RouterExplorer' },
      { level: 'error', event: 'nest.logged', message: 'It broke', context: 'ExceptionsHandler', stack: 'Error: It broke\n    at x' },
    ]);
  });
});
