import { describe, expect, it } from 'vitest';
import { ChangeQueue } from './change-queue.js';

describe('ChangeQueue', () => {
  it('keeps the order of one key, and only the last result counts', async () => {
    const queue = new ChangeQueue<string>();
    const done: string[] = [];
    let answer: (result: string) => void = () => undefined;
    const archived = queue.run('a', async () => {
      const result = await new Promise<string>((resolve) => (answer = resolve));
      done.push('archive');
      return result;
    });
    const undone = queue.run('a', async () => (done.push('unarchive'), 'in the inbox'));
    expect(await queue.run('b', async () => (done.push('other'), 'read'))).toBe('read');
    answer('archived');
    expect(await archived).toBeUndefined();
    expect(await undone).toBe('in the inbox');
    expect(done).toEqual(['other', 'archive', 'unarchive']);
  });

  it('goes on after a failure, which is told to whoever asked', async () => {
    const queue = new ChangeQueue<string>();
    const failed = queue.run('a', async () => {
      throw new Error('gone');
    });
    const next = queue.run('a', async () => 'read');
    await expect(failed).rejects.toThrow('gone');
    expect(await next).toBe('read');
    expect(await queue.run('a', async () => 'again')).toBe('again');
  });
});
