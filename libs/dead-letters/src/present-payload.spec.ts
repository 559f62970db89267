import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { presentPayload } from './present-payload.js';

const SECRETS = [
  `sk_live_${'a'.repeat(43)}`,
  `isk_test_${'B'.repeat(43)}`,
  'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl',
  'Bearer 0123456789abcdef',
  'https://user:hunter22@push.example.net/wpush/v2/gAAAAA?token=abc',
  'postgres://belfry:hunter22@db.example.net/belfry',
];
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

describe('present-payload', () => {
  it('shows JSON as it is where nothing is secret', () => {
    const event = { environment_id: 'e', chunk: { run_id: 'r', chunk_no: 3 }, ids: ['a', 'b'], ok: true, none: null };
    expect(presentPayload(json(event))).toEqual({ format: 'json', content: event, complete: true });
    expect(presentPayload(Buffer.from('null'))).toEqual({ format: 'json', content: null, complete: true });
  });

  it('redacts members by their name, at every depth', () => {
    const event = { a: [{ auth: 'x', p256dh: 'y', nested: { api_key: 1, password: ['z'], token_present: true } }] };
    const redacted = '[redacted]';
    expect(presentPayload(json(event)).content).toEqual({
      a: [{ auth: redacted, p256dh: redacted, nested: { api_key: redacted, password: redacted, token_present: true } }],
    });
  });

  it.each(SECRETS)('finds %s in texts, in names and in what is not JSON', (secret) => {
    const sensitive = secret.includes('hunter22') ? 'hunter22' : secret;
    const shown = [json({ note: `see ${secret}, please` }), json({ [secret]: 1 }), json([secret]), Buffer.from(`{"note": ${secret}`)];
    for (const value of shown) expect(JSON.stringify(presentPayload(value))).not.toContain(sensitive);
    expect(JSON.stringify(presentPayload(json({ note: secret })))).not.toContain('gAAAAA');
  });

  it('redacts named members of JSON that was cut off, also the last one', () => {
    const text = '{"environment_id":"e","token":"abc\\"def","auth" : "ghi","endpoint":"jkl';
    expect(presentPayload(Buffer.from(text))).toEqual({
      format: 'text',
      content: '{"environment_id":"e","token":"[redacted]","auth" : "[redacted]","endpoint":"[redacted]"',
      complete: true,
    });
  });

  it('shows nothing of what is no text', () => {
    expect(presentPayload(Buffer.from([0xff, 0xfe, 0x00]))).toEqual({ format: 'binary', content: null, complete: false });
    expect(presentPayload(Buffer.alloc(0))).toEqual({ format: 'text', content: '', complete: true });
  });

  it('cuts what is too large, and says so', () => {
    const deep = Buffer.from('['.repeat(100_000) + ']'.repeat(100_000));
    const wide = json(Array.from({ length: 100_000 }, (_, index) => index));
    const named = json(Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`k${index}`, index])));
    for (const value of [deep, wide, named, json({ text: 'x'.repeat(900_000) }), Buffer.from('x'.repeat(900_000))]) {
      const shown = presentPayload(value);
      expect(shown.complete).toBe(false);
      expect(JSON.stringify(shown).length).toBeLessThan(100_000);
    }
  });

  it('takes any bytes and gives JSON again', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => Buffer.from(text)),
        ),
        (bytes) => {
          const shown = presentPayload(Buffer.from(bytes));
          expect(JSON.parse(JSON.stringify(shown))).toEqual(expect.objectContaining({ format: shown.format }));
        },
      ),
    );
  });

  it('is quick with text that is made to be slow', () => {
    const texts = [
      '"'.repeat(4_000),
      '"a":"'.repeat(800),
      'a.'.repeat(2_000),
      'eyJ-'.repeat(1_000),
      `"${'\\'.repeat(3_990)}`,
      'a://'.repeat(1_000),
    ];
    const startedMs = performance.now();
    for (const text of texts) presentPayload(Buffer.from(text));
    expect(performance.now() - startedMs).toBeLessThan(1_000);
  });
});
