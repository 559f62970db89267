import { CommanderError } from 'commander';
import { ConfigError } from '#config';
import { BelfryError } from '#contracts';

/** Exit codes of the command line; scripts may rely on them. */
export const EXIT_CODES = {
  ok: 0,
  /** Something failed that the caller did not cause: the database is away, a fault of the program. */
  failed: 1,
  /** Wrong arguments, wrong configuration, or a request that the present state refuses. */
  usage: 2,
  /** A missing or wrong API key, or one without the scope. */
  auth: 3,
  notFound: 4,
  /** Part of the work was done and part of it refused, for example lines of an import. */
  partial: 5,
} as const;

export type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES];

/** The exit code for what a command threw. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_CODES.ok : EXIT_CODES.usage;
  if (error instanceof ConfigError) return EXIT_CODES.usage;
  if (error instanceof BelfryError) return exitCodeOfStatus(error.facts.httpStatus);
  return EXIT_CODES.failed;
}

function exitCodeOfStatus(status: number): ExitCode {
  if (status === 401 || status === 403) return EXIT_CODES.auth;
  if (status === 404) return EXIT_CODES.notFound;
  return status < 500 ? EXIT_CODES.usage : EXIT_CODES.failed;
}
