import { describe, expect, it } from 'vitest';
import { forbidNul } from './request-schema.js';

const JSON_REFERENCE = { $ref: '#/components/schemas/Json' };
const PATTERN = '^[^\\u0000]*$';

function forbidden(schema: Record<string, unknown>): Record<string, unknown> {
  forbidNul(schema);
  return schema;
}

describe('forbidNul', () => {
  it('says of each text that it has no NUL, however deep it stands', () => {
    const schema = forbidden({
      type: 'object',
      additionalProperties: false,
      properties: { tags: { type: 'array', items: { anyOf: [{ type: 'string' }, { type: 'null' }] } } },
    });
    expect(schema).toMatchObject({ properties: { tags: { items: { anyOf: [{ type: 'string', pattern: PATTERN }, { type: 'null' }] } } } });
  });

  it('leaves texts alone that say which characters they have, and adds to those that say only some', () => {
    for (const closed of [{ enum: ['a'] }, { const: 'a' }, { format: 'date-time' }, { pattern: '^[a-z]+$' }]) {
      expect(forbidden({ type: 'string', ...closed })).toEqual({ type: 'string', ...closed });
    }
    expect(forbidden({ type: 'string', pattern: '\\S' })).toEqual({ type: 'string', pattern: '\\S', allOf: [{ pattern: PATTERN }] });
  });

  it('says it of names and values that the schema does not name, and of values of any kind', () => {
    const open = { propertyNames: { pattern: PATTERN }, additionalProperties: JSON_REFERENCE };
    expect(forbidden({ type: 'object' })).toEqual({ type: 'object', ...open });
    expect(forbidden({ type: 'object', additionalProperties: {} })).toEqual({ type: 'object', ...open });
    expect(forbidden({ type: 'object', additionalProperties: { type: 'number' }, propertyNames: { minLength: 1 } })).toEqual({
      type: 'object',
      additionalProperties: { type: 'number' },
      propertyNames: { minLength: 1, pattern: PATTERN },
    });
    expect(forbidden({ description: 'Anything.' })).toEqual({ description: 'Anything.', ...JSON_REFERENCE });
  });

  it('reads its own expression as JavaScript does', () => {
    expect('a\nß漢🎉').toMatch(new RegExp(PATTERN));
    for (const text of ['\0', 'a\0b', '\n\0']) expect(text).not.toMatch(new RegExp(PATTERN));
  });
});
