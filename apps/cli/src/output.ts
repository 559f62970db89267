import { ConfigError } from '#config';
import { BelfryError } from '#contracts';

/** Where text goes: the process's streams, or a test's. */
export interface TextSink {
  write(text: string): unknown;
}

/**
 * What a command says. Results go to stdout: lines for people, or with `--json` one JSON object on one line. Progress and failures go
 * to stderr, so that stdout can be piped.
 */
export class Output {
  /** True with `--json`. */
  json = false;

  constructor(
    private readonly stdout: TextSink,
    private readonly stderr: TextSink,
  ) {}

  /** Prints a command's result in one of its two forms. */
  result(lines: readonly string[], data: object): void {
    this.stdout.write(this.json ? `${JSON.stringify(data)}\n` : `${lines.join('\n')}\n`);
  }

  /** Prints a line of progress for people; nothing with `--json`. */
  note(line: string): void {
    if (!this.json) this.stderr.write(`${line}\n`);
  }

  /** Prints why a command failed, in one line; a faulty configuration takes a line per fault. */
  failure(error: unknown): void {
    const { code, message, hint } = describeFailure(error);
    const line = this.json
      ? JSON.stringify({ error: { code, message, hint } })
      : `error: ${message}${hint === undefined ? '' : ` -> ${hint}`}`;
    this.stderr.write(`${line}\n`);
  }
}

function describeFailure(error: unknown): { code: string; message: string; hint?: string } {
  if (error instanceof BelfryError) return { code: error.facts.code, message: error.message, hint: error.facts.hint };
  if (error instanceof ConfigError) return { code: 'configuration_invalid', message: error.message };
  return { code: 'unexpected_failure', message: error instanceof Error ? error.message : String(error) };
}
