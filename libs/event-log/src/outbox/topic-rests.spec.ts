import { describe, expect, it } from 'vitest';
import { TopicRests } from './topic-rests.js';

describe('topic-rests', () => {
  it('lets a topic rest twice as long after each failure, up to a bound, and anew after a success', () => {
    const rests = new TopicRests(() => 0);
    const lengths = Array.from({ length: 8 }, () => rests.begin('a'));
    expect(lengths).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    rests.end('a');
    expect(rests.begin('a')).toBe(250);
  });

  it('names the topics that rest now and the end of the next rest', () => {
    let nowMs = 0;
    const rests = new TopicRests(() => nowMs);
    expect([rests.topics(), rests.nextEndMs()]).toEqual([[], undefined]);
    rests.begin('a');
    rests.begin('b');
    rests.begin('b');
    nowMs = 100;
    expect([rests.topics(), rests.nextEndMs()]).toEqual([['a', 'b'], 150]);
    nowMs = 250;
    expect([rests.topics(), rests.nextEndMs()]).toEqual([['b'], 250]);
    nowMs = 600;
    expect([rests.topics(), rests.nextEndMs()]).toEqual([[], undefined]);
  });
});
