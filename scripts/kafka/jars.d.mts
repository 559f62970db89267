/** Types of jars.mjs, for the tests that are written in TypeScript. */
export const KAFKA_VERSION: string;
export const KAFKA_VERSION_OLDEST: string;
export class KafkaUnavailableError extends Error {}
export function cacheFolder(): string;
export function javaCommand(): string;
export function checkJava(): Promise<void>;
export function resolveJars(version: string, onProgress?: (message: string) => void): Promise<string>;
export function run(command: string, args: readonly string[], cwd?: string): Promise<{ code: number; output: string }>;
