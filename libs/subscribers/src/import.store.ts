import { Injectable } from '@nestjs/common';
import { newUuid } from '#contracts';
import { Database, type Sql } from '#database';
import type { AttributeType } from './profile/attribute-value.js';
import type { TypeSource } from './import-file/column-plan.js';
import { IMPORT_SILENCE_SECONDS_MAX } from './subscribers.limits.js';

/** `running` until the last batch is written; the other two are final. */
export type ImportState = 'running' | 'finished' | 'failed';

/** What an import has done so far; lines = created + updated + rejected. */
export interface ImportCounts {
  readonly lines: number;
  readonly created: number;
  readonly updated: number;
  readonly rejected: number;
}

/** How a column was read. */
export interface ImportedColumn {
  readonly column: string;
  readonly target: string;
  readonly type: AttributeType;
  readonly typed_by: TypeSource;
}

/** One import. */
export interface Import extends ImportCounts {
  /** UUID. */
  readonly id: string;
  readonly state: ImportState;
  readonly columns: readonly ImportedColumn[];
  readonly failure: { readonly code: string; readonly message: string } | null;
  readonly createdAt: Date;
  readonly finishedAt: Date | null;
}

/** One line that was not imported. */
export interface ImportRejection {
  readonly line: number;
  readonly code: string;
  readonly reason: string;
}

interface ImportRow extends ImportCounts {
  readonly id: string;
  readonly state: ImportState;
  readonly columns: readonly ImportedColumn[];
  readonly failure_code: string | null;
  readonly failure: string | null;
  readonly created_at: Date;
  readonly finished_at: Date | null;
}

/** All SQL over subscribers.import and subscribers.import_rejection. */
@Injectable()
export class ImportStore {
  constructor(private readonly database: Database) {}

  /** Opens an import and gives its id. */
  async insert(environmentId: string, columns: readonly ImportedColumn[], tx: Sql = this.database): Promise<string> {
    const id = newUuid();
    await tx.execute({
      text: `INSERT INTO subscribers.import (environment_id, id, state, columns) VALUES ($1, $2, 'running', $3)`,
      values: [environmentId, id, JSON.stringify(columns)],
    });
    return id;
  }

  /** Keeps rejected lines. A line is kept once, with its first reason. */
  async insertRejections(
    environmentId: string,
    importId: string,
    rejections: readonly ImportRejection[],
    tx: Sql = this.database,
  ): Promise<void> {
    if (rejections.length === 0) return;
    await tx.execute({
      name: 'subscribers.import-rejections',
      text: `INSERT INTO subscribers.import_rejection (environment_id, import_id, line_no, code, reason)
        SELECT $1::uuid, $2::uuid, rejection.* FROM unnest($3::integer[], $4::text[], $5::text[]) AS rejection
        ON CONFLICT DO NOTHING`,
      values: [
        environmentId,
        importId,
        rejections.map((rejection) => rejection.line),
        rejections.map((rejection) => rejection.code),
        rejections.map((rejection) => rejection.reason),
      ],
    });
  }

  /** Sets the counts of a running import, and shows that it is alive. */
  async reportProgress(environmentId: string, importId: string, counts: ImportCounts, tx: Sql = this.database): Promise<void> {
    await tx.execute({
      name: 'subscribers.import-progress',
      text: `UPDATE subscribers.import SET lines = $3, created = $4, updated = $5, rejected = $6, progress_at = clock_timestamp()
        WHERE environment_id = $1 AND id = $2`,
      values: [environmentId, importId, counts.lines, counts.created, counts.updated, counts.rejected],
    });
  }

  /** Ends a running import: finished without a failure, failed with one. */
  async close(environmentId: string, importId: string, failure: Import['failure'], tx: Sql = this.database): Promise<void> {
    await tx.execute({
      text: `UPDATE subscribers.import
        SET state = CASE WHEN $3::text IS NULL THEN 'finished' ELSE 'failed' END, failure_code = $3, failure = $4, finished_at = clock_timestamp()
        WHERE environment_id = $1 AND id = $2 AND state = 'running'`,
      values: [environmentId, importId, failure?.code ?? null, failure?.message ?? null],
    });
  }

  /**
   * The import of that id; `undefined` when this environment has none. A running one that has been silent for too long reads as failed:
   * its process is gone.
   */
  async find(environmentId: string, importId: string, tx: Sql = this.database): Promise<Import | undefined> {
    const [row] = await tx.query<ImportRow>({
      text: `SELECT id, columns, lines, created, updated, rejected, created_at,
          CASE WHEN interrupted THEN 'failed' ELSE state END AS state,
          CASE WHEN interrupted THEN 'import_interrupted' ELSE failure_code END AS failure_code,
          CASE WHEN interrupted THEN 'The process that imported the file is gone. Import the file again.' ELSE failure END AS failure,
          CASE WHEN interrupted THEN progress_at ELSE finished_at END AS finished_at
        FROM subscribers.import, LATERAL (
          SELECT state = 'running' AND progress_at < clock_timestamp() - make_interval(secs => $3) AS interrupted
        ) AS condition
        WHERE environment_id = $1 AND id = $2`,
      values: [environmentId, importId, IMPORT_SILENCE_SECONDS_MAX],
    });
    return row === undefined ? undefined : toImport(row);
  }

  /** Up to `limit` rejected lines after the given one, in the order of the file. */
  async listRejections(
    environmentId: string,
    importId: string,
    page: { readonly afterLine: number; readonly limit: number },
    tx: Sql = this.database,
  ): Promise<ImportRejection[]> {
    return tx.query<ImportRejection>({
      text: `SELECT line_no AS line, code, reason FROM subscribers.import_rejection
        WHERE environment_id = $1 AND import_id = $2 AND line_no > $3 ORDER BY line_no LIMIT $4`,
      values: [environmentId, importId, page.afterLine, page.limit],
    });
  }
}

function toImport(row: ImportRow): Import {
  const { id, state, columns, lines, created, updated, rejected } = row;
  const failure = row.failure_code === null ? null : { code: row.failure_code, message: row.failure ?? '' };
  return { id, state, columns, lines, created, updated, rejected, failure, createdAt: row.created_at, finishedAt: row.finished_at };
}
