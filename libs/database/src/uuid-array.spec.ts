import { types } from 'pg';
import { describe, expect, it } from 'vitest';
import { parseUuidArray, UUID_ARRAY_OID } from './uuid-array.js';

const IDS = ['0190a6e4-0000-7000-8000-000000000001', '0190a6e4-0000-7000-8000-00000000000f'];

describe('an array of UUIDs', () => {
  it.each(['{}', `{${IDS[0]}}`, `{${IDS.join(',')}}`, '{NULL}', `{${IDS[0]},NULL,${IDS[1]}}`])('is read from %s as pg reads it', (text) => {
    expect(parseUuidArray(text)).toEqual(types.getTypeParser(UUID_ARRAY_OID)(text));
  });
});
