import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newUuid, TOPICS } from '#contracts';
import { RecordUndecodableError } from '#event-log';
import { decodeRecord } from '../../libs/event-log/src/decode-record.js';
import { BAD_RECORDS, unknownSubjects, wellFormedEvent } from './bad-records.js';

const PLACE = { partition: 0, offset: 0n, key: 'k', headers: {}, appendedAt: new Date(0) };
const TEST_MS_MAX = 60_000;

describe.each(TOPICS.map((contract) => [contract.topic, contract] as const))('%s', { timeout: TEST_MS_MAX }, (topic, contract) => {
  const decode = (value: Buffer) => decodeRecord(contract, { ...PLACE, topic, value });

  it('takes what fits its contract', () => {
    const event = wellFormedEvent(topic, unknownSubjects(newUuid()));
    expect(decode(Buffer.from(JSON.stringify(event))).event).toEqual(event);
  });

  it.each([...(BAD_RECORDS.get(topic) ?? [])])('refuses a value that is %s', (_, value) => {
    expect(() => decode(value)).toThrow(RecordUndecodableError);
  });

  it('takes or refuses whatever there may be, and fails in no other way', () => {
    const event = wellFormedEvent(topic, unknownSubjects(newUuid()));
    const changed = fc
      .tuple(fc.constantFrom(...Object.keys(event)), fc.jsonValue())
      .map(([name, value]) => Buffer.from(JSON.stringify({ ...event, [name]: value })));
    const cut = fc.nat(JSON.stringify(event).length).map((length) => Buffer.from(JSON.stringify(event).slice(0, length)));
    const anything = fc.oneof(
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      fc.json().map((text) => Buffer.from(text)),
      changed,
      cut,
    );
    fc.assert(
      fc.property(anything, (value) => {
        try {
          expect(decode(value).event).toBeDefined();
        } catch (error) {
          expect(error).toBeInstanceOf(RecordUndecodableError);
        }
      }),
    );
  });
});
