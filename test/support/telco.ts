import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The public telco audience, which lies beside the repository and not in it. */
export const TELCO_FILE = fileURLToPath(new URL('../../../shared/data/telco-customers.csv', import.meta.url));

/** One line of the file: header -> cell. */
export type TelcoCustomer = ReadonlyMap<string, string>;

/** Why the telco tests cannot run here, or `undefined`. */
export function findTelcoSkipReason(): string | undefined {
  return existsSync(TELCO_FILE) ? undefined : `${TELCO_FILE} is missing.`;
}

/** Reads the file with a few lines of our own, so that Belfry's CSV reader is not judged by itself. The file holds no quotes. */
export function readTelcoCustomers(): readonly TelcoCustomer[] {
  const [header = '', ...lines] = readFileSync(TELCO_FILE, 'utf8').trimEnd().split(/\r?\n/);
  const columns = header.split(',');
  return lines.map((line) => {
    const cells = line.split(',');
    if (line.includes('"') || cells.length !== columns.length) throw new Error(`This reader is too simple for the line ${line}`);
    return new Map(columns.map((column, index) => [column, cells[index] ?? '']));
  });
}
