import { describe, expect, it } from 'vitest';
import type { InboxMessage, InboxPage, MessageChange } from '../client/index.js';
import { anticipate, InboxModel, inverseOf } from './inbox-model.js';

const NOW = new Date('2026-11-25T12:00:00.000Z');

function message(number: number, state: Partial<InboxMessage> = {}): InboxMessage {
  return {
    id: `msg_${number}`,
    title: `Message ${number}`,
    body: null,
    url: null,
    icon: null,
    image: null,
    actions: [],
    data: {},
    delivered_at: new Date(NOW.getTime() + number * 1_000).toISOString(),
    expires_at: '2027-01-01T00:00:00.000Z',
    seen_at: null,
    read_at: null,
    archived_at: null,
    receipt: `r.${number}`,
    ...state,
  };
}

const page = (numbers: readonly number[], next: string | null = null): InboxPage => ({
  data: numbers.map((number) => message(number)),
  has_more: next !== null,
  next_cursor: next,
  unread: { count: numbers.length, capped: false },
});

const idsOf = (model: InboxModel): string[] => model.messages.map(({ id }) => id);

describe('InboxModel', () => {
  it('keeps each message once and the newest first, however they come', () => {
    const model = new InboxModel();
    model.replace(page([5, 4], 'c'));
    expect(model.merge(message(6))).toBe('added');
    expect(model.merge(message(5, { read_at: NOW.toISOString() }))).toBe('updated');
    model.append(page([4, 3, 2]));
    expect(idsOf(model)).toEqual(['msg_6', 'msg_5', 'msg_4', 'msg_3', 'msg_2']);
    expect(model.find('msg_5')?.read_at).not.toBeNull();
    expect(model.nextCursor).toBeUndefined();
  });

  it('leaves out what is older than the shown pages, until its page comes', () => {
    const model = new InboxModel();
    model.replace(page([9, 8], 'c'));
    expect(model.merge(message(1))).toBe('ignored');
    model.replace(page([9, 8]));
    expect(model.merge(message(1))).toBe('added');
  });

  it('shows under each filter what belongs there', () => {
    const model = new InboxModel();
    const read = message(2, { read_at: NOW.toISOString() });
    const archived = message(3, { read_at: NOW.toISOString(), archived_at: NOW.toISOString() });
    for (const [filter, ids] of [
      ['inbox', ['msg_2', 'msg_1']],
      ['unread', ['msg_1']],
      ['archive', ['msg_3']],
    ] as const) {
      model.reset(filter);
      for (const one of [message(1), read, archived]) model.merge(one);
      expect(idsOf(model)).toEqual(ids);
    }
    model.reset('unread');
    model.merge(message(1));
    expect(model.merge(message(1, { read_at: NOW.toISOString() }))).toBe('removed');
    expect(model.messages).toEqual([]);
  });
});

describe('inverseOf', () => {
  const states = [message(1), message(2, { seen_at: 'x', read_at: 'x' }), message(3, { seen_at: 'x', read_at: 'x', archived_at: 'x' })];
  const changes: readonly MessageChange[] = ['read', 'unread', 'archive', 'unarchive'];

  it('takes every change back, as far as a person sees it', () => {
    const visible = ({ read_at: readAt, archived_at: archivedAt }: InboxMessage) => [readAt !== null, archivedAt !== null];
    for (const before of states) {
      for (const change of changes) {
        const after = anticipate(before, change, NOW);
        const inverse = inverseOf(before, change);
        const undone = inverse === undefined ? after : anticipate(after, inverse, NOW);
        const isNothing = JSON.stringify(visible(after)) === JSON.stringify(visible(before));
        if (!isNothing) expect([before.id, change, visible(undone)]).toEqual([before.id, change, visible(before)]);
      }
    }
  });
});
