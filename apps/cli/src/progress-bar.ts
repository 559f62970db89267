import type { ImportProgress } from '#subscribers';

/** A terminal to draw on. */
export interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const REDRAW_MS_MIN = 100;
const BAR_CELLS = 24;
const COLUMNS_DEFAULT = 80;
const PHASE_LABELS = { types: 'finding types', lines: 'importing' } as const;

/** One line of progress, redrawn in place a few times a second; nothing where there is no terminal. */
export class ProgressBar {
  private drawnAtMs = Number.NEGATIVE_INFINITY;
  private phase: ImportProgress['phase'] | undefined;
  private phaseStartedAtMs = 0;

  /**
   * @param bytesTotal size of the file.
   * @param nowMs a clock that only goes forward.
   */
  constructor(
    private readonly terminal: Terminal,
    private readonly bytesTotal: number,
    private readonly nowMs: () => number = () => performance.now(),
  ) {}

  draw(progress: ImportProgress): void {
    if (this.terminal.isTTY !== true) return;
    const nowMs = this.nowMs();
    if (progress.phase !== this.phase) {
      this.phase = progress.phase;
      this.phaseStartedAtMs = nowMs;
    }
    if (nowMs - this.drawnAtMs < REDRAW_MS_MIN) return;
    this.drawnAtMs = nowMs;
    const line = describeProgress(progress, this.bytesTotal, (nowMs - this.phaseStartedAtMs) / 1_000);
    this.terminal.write(`\r\u001b[K${line.slice(0, (this.terminal.columns ?? COLUMNS_DEFAULT) - 1)}`);
  }

  /** Leaves an empty line for what comes next. */
  clear(): void {
    if (this.terminal.isTTY === true && this.phase !== undefined) this.terminal.write('\r\u001b[K');
  }
}

/** `importing [######------] 50%  3,500 lines  12 rejected  21,000/s`. */
export function describeProgress(progress: ImportProgress, bytesTotal: number, seconds: number): string {
  const share = bytesTotal === 0 ? 1 : Math.min(1, progress.bytes / bytesTotal);
  const filled = Math.floor(share * BAR_CELLS);
  const bar = `[${'#'.repeat(filled)}${'-'.repeat(BAR_CELLS - filled)}] ${Math.floor(share * 100)}%`;
  if (progress.phase === 'types') return `${PHASE_LABELS.types} ${bar}`;
  const rejected = progress.rejected === 0 ? '' : `  ${format(progress.rejected)} rejected`;
  const rate = seconds > 0 ? `  ${format(Math.round(progress.lines / seconds))}/s` : '';
  return `${PHASE_LABELS.lines} ${bar}  ${format(progress.lines)} lines${rejected}${rate}`;
}

function format(count: number): string {
  return count.toLocaleString('en-US');
}
