import { describe, expect, it } from 'vitest';
import { contentSchema } from './content.js';

function pathsRefused(input: unknown): string[] {
  const result = contentSchema.safeParse(input);
  return result.success ? [] : result.error.issues.map((issue) => issue.path.join('.'));
}

describe('contentSchema', () => {
  it('takes a full content as it is', () => {
    const content = {
      title: 'Hello {{ subscriber.first_name }}',
      body: 'Your plan ends soon.',
      url: 'https://example.com/plans/{{ subscriber.plan }}',
      icon: '/icon.png',
      image: 'https://example.com/banner.png',
      actions: [
        { id: 'renew', title: 'Renew', url: '/renew' },
        { id: 'later', title: 'Later' },
      ],
      data: { order: 7, vip: true, note: null, text: 'x' },
    };
    expect(contentSchema.parse(content)).toEqual(content);
  });

  it('needs no more than a title', () => {
    expect(contentSchema.safeParse({ title: 'Hello' }).success).toBe(true);
    expect(pathsRefused({ body: 'Hello' })).toEqual(['title']);
  });

  it('keeps markup as the plain text it is', () => {
    expect(contentSchema.parse({ title: '<b>Hello</b>' }).title).toBe('<b>Hello</b>');
  });

  it('refuses unknown fields, blank titles and unsafe URLs, naming each', () => {
    expect(pathsRefused({ title: 'x', colour: 'red' })).toEqual(['']);
    expect(pathsRefused({ title: '  ' })).toEqual(['title']);
    expect(pathsRefused({ title: 'x', url: 'javascript:alert(1)' })).toEqual(['url']);
    expect(pathsRefused({ title: 'x', icon: 'http://example.com/i.png' })).toEqual(['icon']);
    expect(pathsRefused({ title: 'x', icon: '/{{ subscriber.icon }} .png' })).toEqual(['icon']);
    expect(pathsRefused({ title: 'x', actions: [{ id: 'a', title: 'A', url: '//evil.example' }] })).toEqual(['actions.0.url']);
  });

  it('refuses what Postgres cannot store', () => {
    expect(pathsRefused({ title: 'a\u0000b' })).toEqual(['title']);
    expect(pathsRefused({ title: 'x', body: 'half \ud83d pair' })).toEqual(['body']);
    expect(pathsRefused({ title: 'x', data: { a: '\u0000' } })).toEqual(['data.a']);
    expect(pathsRefused({ title: 'x', data: { 'a\u0000': 1 } })).toEqual(['data']);
  });

  it('holds plain text to the limit of rendered text, and templates to a wider one', () => {
    expect(pathsRefused({ title: 'x'.repeat(501) })).toEqual(['title']);
    expect(pathsRefused({ title: `${'x'.repeat(501)}{{ subscriber.a }}` })).toEqual([]);
    expect(pathsRefused({ title: `${'x'.repeat(1_001)}{{ subscriber.a }}` })).toEqual(['title']);
  });

  it('refuses repeated action ids, too many actions, nested data and large data', () => {
    const action = { id: 'a', title: 'A' };
    expect(pathsRefused({ title: 'x', actions: [action, action] })).toEqual(['actions']);
    expect(pathsRefused({ title: 'x', actions: ['a', 'b', 'c', 'd', 'e'].map((id) => ({ id, title: id })) })).toEqual(['actions']);
    expect(pathsRefused({ title: 'x', data: { a: { b: 1 } } })).toEqual(['data.a']);
    expect(pathsRefused({ title: 'x', data: { a: 'x'.repeat(1_500), b: 'x'.repeat(1_500) } })).toEqual(['data']);
  });
});
