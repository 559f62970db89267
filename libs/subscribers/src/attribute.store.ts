import { Injectable } from '@nestjs/common';
import { Database, type Sql } from '#database';
import type { AttributeType } from './profile/attribute-value.js';
import { ATTRIBUTE_DECLARATIONS_MAX } from './subscribers.limits.js';

/** One declared attribute. Values written from then on have its type; older ones stay as they are. */
export interface AttributeDeclaration {
  readonly name: string;
  readonly type: AttributeType;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

interface AttributeRow {
  readonly name: string;
  readonly type: AttributeType;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly created: boolean;
}

/** All SQL over subscribers.attribute. */
@Injectable()
export class AttributeStore {
  constructor(private readonly database: Database) {}

  /** The declared types of an environment by attribute name. */
  async readTypes(environmentId: string, tx: Sql = this.database): Promise<Map<string, AttributeType>> {
    const rows = await tx.query<AttributeRow>({
      name: 'subscribers.attribute-types',
      text: `SELECT name, type FROM subscribers.attribute WHERE environment_id = $1`,
      values: [environmentId],
    });
    return new Map(rows.map((row) => [row.name, row.type]));
  }

  /** All declarations of an environment by name; there are at most `ATTRIBUTE_DECLARATIONS_MAX`. */
  async list(environmentId: string, tx: Sql = this.database): Promise<AttributeDeclaration[]> {
    const rows = await tx.query<AttributeRow>({
      text: `SELECT name, type, created_at, updated_at FROM subscribers.attribute WHERE environment_id = $1 ORDER BY name`,
      values: [environmentId],
    });
    return rows.map(toDeclaration);
  }

  /** One declaration; `undefined` when this environment has none of that name. */
  async find(environmentId: string, name: string, tx: Sql = this.database): Promise<AttributeDeclaration | undefined> {
    const [row] = await tx.query<AttributeRow>({
      text: `SELECT name, type, created_at, updated_at FROM subscribers.attribute WHERE environment_id = $1 AND name = $2`,
      values: [environmentId, name],
    });
    return row === undefined ? undefined : toDeclaration(row);
  }

  /**
   * Declares an attribute or changes its type (a row that was updated carries its updater in `xmax`). `undefined` when the environment already has as many declarations as it may: two
   * concurrent ones can pass the limit by one, which does no harm.
   */
  async declare(
    environmentId: string,
    attribute: { readonly name: string; readonly type: AttributeType },
    tx: Sql = this.database,
  ): Promise<{ readonly declaration: AttributeDeclaration; readonly created: boolean } | undefined> {
    const [row] = await tx.query<AttributeRow>({
      text: `INSERT INTO subscribers.attribute AS present (environment_id, name, type)
        SELECT $1::uuid, $2, $3
        WHERE (SELECT count(*) FROM subscribers.attribute WHERE environment_id = $1 AND name <> $2) < ${ATTRIBUTE_DECLARATIONS_MAX}
        ON CONFLICT (environment_id, name) DO UPDATE SET type = excluded.type, updated_at = now()
        RETURNING name, type, created_at, updated_at, xmax = 0 AS created`,
      values: [environmentId, attribute.name, attribute.type],
    });
    return row === undefined ? undefined : { declaration: toDeclaration(row), created: row.created };
  }
}

function toDeclaration(row: AttributeRow): AttributeDeclaration {
  return { name: row.name, type: row.type, createdAt: row.created_at, updatedAt: row.updated_at };
}
