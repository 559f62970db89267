import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { DemoScreen, progressBar } from './demo-screen.js';

/** A screen and what was written to it, without colours. */
function makeScreen(terminal: { isTTY: boolean; columns?: number }): { screen: DemoScreen; written: () => string } {
  let text = '';
  const stream = { ...terminal, write: (part: string) => (text += part) };
  return { screen: new DemoScreen(stream as unknown as NodeJS.WriteStream), written: () => stripVTControlCharacters(text) };
}

const SENTENCE = 'push services like those of FCM, Mozilla, Apple and Windows run beside it: strict, and they decrypt what they get';

describe('the screen of the demo', () => {
  it('breaks long steps at words and goes on below their beginning', () => {
    const { screen, written } = makeScreen({ isTTY: true, columns: 60 });
    screen.done(SENTENCE);
    const lines = written().trimEnd().split('\n');
    expect(lines.length).toBeGreaterThan(1);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(60);
    for (const line of lines.slice(1)) expect(line).toMatch(/^ {4}\S/);
    expect(lines.map((line) => line.slice(4)).join(' ')).toBe(SENTENCE);
  });

  it('keeps the live line on one line, whatever has to be left out', () => {
    for (const columns of [20, 60, 80, 200]) {
      const { screen, written } = makeScreen({ isTTY: true, columns });
      screen.live(progressBar(0.57), 'inbox 11,124', 'push 211', 'skipped 19,843', 'failed 9', '6,100/s', '1 s left');
      expect(written().trim().length).toBeLessThan(Math.max(columns, 40));
      expect(written().includes('1 s left')).toBe(columns === 200);
    }
  });

  it('draws no live line and breaks nothing where there is no terminal', () => {
    const { screen, written } = makeScreen({ isTTY: false });
    screen.live(progressBar(0.5), 'inbox 1');
    screen.done(SENTENCE);
    expect(written()).toBe(`  ✓ ${SENTENCE}\n`);
  });

  it('sets figures in columns and absent ones as dashes', () => {
    const { screen, written } = makeScreen({ isTTY: false });
    screen.table(
      'Counts',
      ['inbox', ''],
      [
        ['delivered', 19_573, 553],
        ['skipped', undefined, undefined],
      ],
    );
    expect(
      written()
        .split('\n')
        .map((line) => line.trimEnd()),
    ).toEqual([
      '',
      'Counts                         inbox',
      '    delivered                 19,573       553',
      '    skipped                        –',
      '',
    ]);
  });
});
