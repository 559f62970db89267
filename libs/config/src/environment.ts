/** Environment variables by name, as the process got them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The process's environment variables. This is the only place in Belfry that reads `process.env`. */
export function readEnvironment(): Environment {
  return { ...process.env };
}
