import { stripVTControlCharacters } from 'node:util';
import pc from 'picocolors';

const BAR_CELLS = 28;
const REDRAW_MS_MIN = 80;

/** Columns of a terminal that does not say how wide it is, and of output that is no terminal. */
const COLUMNS_DEFAULT = 100;
const COLUMNS_MIN = 40;
const LABEL_CELLS = 22;
const FIGURE_CELLS = 10;

/**
 * The demo's terminal: finished steps stay, one live line is drawn over itself. Long steps are broken at words and go on below their
 * beginning; the live line leaves out its last parts where they do not fit. Without a terminal there is no live line and nothing is broken.
 */
export class DemoScreen {
  private liveText = '';
  private drawnAtMs = 0;

  constructor(private readonly stream: NodeJS.WriteStream) {}

  heading(text: string): void {
    this.print(`\n${pc.bold(text)}`);
  }

  /** A finished step. */
  done(text: string): void {
    this.print(`  ${pc.green('✓')} ${this.fold(text, 4)}`);
  }

  /** A line below a heading; `indent` cells further in. */
  line(text = '', indent = 0): void {
    this.print(text === '' ? '' : `${' '.repeat(4 + indent)}${this.fold(text, 4 + indent)}`);
  }

  /** A label and its value, in columns. */
  fact(label: string, value: string | number): void {
    this.print(`    ${label.padEnd(LABEL_CELLS)}${typeof value === 'number' ? formatCount(value).padStart(FIGURE_CELLS) : value}`);
  }

  /** Figures in columns below their titles; an absent figure is shown as a dash, in a column without a title as nothing. */
  table(
    heading: string,
    columns: readonly string[],
    rows: readonly (readonly [label: string, ...figures: (number | undefined)[]])[],
  ): void {
    const titles = columns.map((column) => pc.dim(column.padStart(FIGURE_CELLS))).join('');
    this.print(`\n${pc.bold(heading.padEnd(4 + LABEL_CELLS))}${titles}`);
    for (const [label, ...figures] of rows) {
      const empty = (column: number): string => (columns[column] === '' ? '' : '–');
      const cells = figures.map((figure, column) => (figure === undefined ? empty(column) : formatCount(figure)).padStart(FIGURE_CELLS));
      this.print(`    ${label.padEnd(LABEL_CELLS)}${cells.join('')}`);
    }
  }

  /** Draws the live line; at most a dozen times a second. The first part always stands, the others as far as there is room. */
  live(...parts: readonly string[]): void {
    const now = performance.now();
    if (!this.stream.isTTY || now - this.drawnAtMs < REDRAW_MS_MIN) return;
    this.drawnAtMs = now;
    let [text = ''] = parts;
    for (const part of parts.slice(1)) {
      if (4 + stripVTControlCharacters(`${text}${part}`).length + 2 >= this.columns) break;
      text += `  ${part}`;
    }
    this.liveText = text;
    this.stream.write(`\r\u001b[2K  ${pc.cyan('•')} ${text}`);
  }

  private get columns(): number {
    return Math.max(this.stream.columns ?? COLUMNS_DEFAULT, COLUMNS_MIN);
  }

  /** Breaks a text at words; what goes on below begins `indent` cells in. */
  private fold(text: string, indent: number): string {
    if (!this.stream.isTTY) return text;
    const lines = [''];
    for (const word of text.split(' ')) {
      const line = lines.at(-1) ?? '';
      const isFull = line !== '' && indent + stripVTControlCharacters(`${line} ${word}`).length > this.columns;
      if (isFull) lines.push(word);
      else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
    }
    return lines.join(`\n${' '.repeat(indent)}`);
  }

  private print(text: string): void {
    if (this.liveText !== '') this.stream.write('\r\u001b[2K');
    this.liveText = '';
    this.stream.write(`${text}\n`);
  }
}

/** A bar for a share between 0 and 1. */
export function progressBar(share: number): string {
  const filled = Math.round(Math.min(Math.max(share, 0), 1) * BAR_CELLS);
  return `${pc.green('█'.repeat(filled))}${pc.dim('░'.repeat(BAR_CELLS - filled))} ${String(Math.floor(share * 100)).padStart(3)} %`;
}

/** 12345 as 12,345. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US', { maximumFractionDigits: 0 });
}

/** Milliseconds as seconds with one digit. */
export function formatSeconds(milliseconds: number): string {
  return `${(milliseconds / 1_000).toFixed(1)} s`;
}
