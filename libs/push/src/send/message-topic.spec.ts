import { newUuid } from '#contracts';
import { describe, expect, it } from 'vitest';
import { messageTopic } from './message-topic.js';

describe('messageTopic', () => {
  it('is the same for every attempt and differs between people and messages', () => {
    const [key, anna, ben] = [newUuid(), newUuid(), newUuid()];
    expect(messageTopic(key, anna)).toBe(messageTopic(key, anna));
    expect(new Set([messageTopic(key, anna), messageTopic(key, ben), messageTopic(newUuid(), anna)]).size).toBe(3);
  });

  it('has 32 characters of the base64url alphabet', () => {
    expect(messageTopic(newUuid(), newUuid())).toMatch(/^[\w-]{32}$/);
  });
});
