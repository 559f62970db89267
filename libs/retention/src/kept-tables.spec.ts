import { readFileSync } from 'node:fs';
import { BelfryConfig } from '#config';
import { tableOf } from '#database';
import { describe, expect, it } from 'vitest';
import { KEPT_TABLES } from './kept-tables.js';
import { RETENTION_SECTIONS, retentionPolicies, type RetentionRole } from './policies.js';

const policiesOf = (role: RetentionRole) => retentionPolicies(BelfryConfig.load(RETENTION_SECTIONS[role], {}), role);

describe('the tables of the schema', () => {
  const tables = [...readFileSync('libs/database/schema.sql', 'utf8').matchAll(/^CREATE TABLE ([\w.]+) \(/gm)].map(([, table]) => table);
  const removed = policiesOf('all').flatMap(({ steps }) => steps.map(tableOf));

  it('each have a retention policy or a reason to stay', () => {
    expect(tables.length).toBeGreaterThan(20);
    const answered = [...new Set([...removed, ...Object.keys(KEPT_TABLES)])].sort();
    const what = 'declare the table in <context>-retention.store.ts of its owner, or in kept-tables.ts';
    expect(answered, what).toEqual([...tables].sort());
    expect(removed.filter((table) => table in KEPT_TABLES)).toEqual([]);
  });
});

describe('the policies of the delivery apps', () => {
  const namesOf = (role: RetentionRole) => policiesOf(role).map(({ name }) => name);

  it('are together all policies, each channel by the app that serves it', () => {
    const [inbox, push] = [namesOf('inbox-delivery'), namesOf('push-delivery')];
    expect([...new Set([...inbox, ...push])].sort()).toEqual(namesOf('all').sort());
    expect(inbox.filter((name) => name.startsWith('push.'))).toEqual([]);
    expect(push.filter((name) => name.startsWith('inbox.'))).toEqual([]);
  });

  it('have names of their own', () => {
    expect(new Set(namesOf('all')).size).toBe(namesOf('all').length);
  });
});
