import pc from 'picocolors';

const BAR_CELLS = 28;
const REDRAW_MS_MIN = 80;

/** The demo's terminal: finished steps stay, one live line is drawn over itself. Without a terminal the live line is left out. */
export class DemoScreen {
  private liveText = '';
  private drawnAtMs = 0;

  constructor(private readonly stream: NodeJS.WriteStream) {}

  heading(text: string): void {
    this.print(`\n${pc.bold(text)}`);
  }

  /** A finished step. */
  done(text: string): void {
    this.print(`  ${pc.green('✓')} ${text}`);
  }

  line(text = ''): void {
    this.print(text === '' ? '' : `    ${text}`);
  }

  /** A label and its value, in columns. */
  fact(label: string, value: string | number): void {
    this.print(`    ${label.padEnd(22)}${typeof value === 'number' ? formatCount(value).padStart(10) : value}`);
  }

  /** Draws the live line; at most a dozen times a second. */
  live(text: string): void {
    const now = performance.now();
    if (!this.stream.isTTY || now - this.drawnAtMs < REDRAW_MS_MIN) return;
    this.drawnAtMs = now;
    this.liveText = text;
    this.stream.write(`\r\u001b[2K  ${pc.cyan('•')} ${text}`);
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
