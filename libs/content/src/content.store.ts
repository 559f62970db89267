import { Injectable } from '@nestjs/common';
import { newUuid } from '#contracts';
import { Database, type Sql, type Transaction } from '#database';
import type { Content, ContentFields } from './content.js';
import { checkTemplates } from './render-content.js';

/** Contents kept in memory per process; each is at most some 20 kB. */
const CACHE_ENTRIES_MAX = 500;

/** Names a content across environments. */
export interface ContentKey {
  readonly environmentId: string;
  readonly contentId: string;
}

interface ContentRow {
  readonly id: string;
  readonly fields: ContentFields;
  readonly personalised: boolean;
}

/** All SQL over content.content. A content never changes, so a found one is remembered: the least recently used goes first. */
@Injectable()
export class ContentStore {
  /** Insertion order is the order of use, oldest first. */
  private readonly cache = new Map<string, Content>();

  constructor(private readonly database: Database) {}

  /**
   * Stores a content and gives its id. It stays until whoever names it removes it.
   *
   * @throws ContentTemplateInvalidError when a template cannot be read
   */
  async insert(environmentId: string, fields: ContentFields, tx: Sql = this.database): Promise<string> {
    const personalised = checkTemplates(fields);
    const id = newUuid();
    await tx.execute({
      name: 'content.insert',
      text: 'INSERT INTO content.content (environment_id, id, fields, personalised) VALUES ($1, $2, $3, $4)',
      values: [environmentId, id, JSON.stringify(fields), personalised],
    });
    return id;
  }

  /** Deletes contents that nobody names any more. @returns how many there were */
  static async remove(keys: readonly ContentKey[], tx: Transaction): Promise<number> {
    return tx.execute({
      name: 'content.remove',
      text: `DELETE FROM content.content USING unnest($1::uuid[], $2::uuid[]) AS doomed (environment_id, id)
        WHERE content.environment_id = doomed.environment_id AND content.id = doomed.id`,
      values: [keys.map((key) => key.environmentId), keys.map((key) => key.contentId)],
    });
  }

  /** The content of that id, the same object while it is cached; `undefined` when this environment has none. */
  async find(environmentId: string, contentId: string, tx: Sql = this.database): Promise<Content | undefined> {
    const key = `${environmentId}:${contentId}`;
    const known = this.cache.get(key);
    if (known !== undefined) {
      this.remember(key, known);
      return known;
    }
    const [row] = await tx.query<ContentRow>({
      name: 'content.find',
      text: 'SELECT id, fields, personalised FROM content.content WHERE environment_id = $1 AND id = $2',
      values: [environmentId, contentId],
    });
    if (row === undefined) return undefined;
    const content = Object.freeze({ id: row.id, fields: row.fields, personalised: row.personalised });
    this.remember(key, content);
    return content;
  }

  /** The contents of several ids, read at once; ids that this environment does not have are left out. Not cached. */
  async findMany(environmentId: string, contentIds: readonly string[], tx: Sql = this.database): Promise<Map<string, Content>> {
    const rows = await tx.query<ContentRow>({
      name: 'content.find-many',
      text: 'SELECT id, fields, personalised FROM content.content WHERE environment_id = $1 AND id = ANY($2::uuid[])',
      values: [environmentId, contentIds],
    });
    return new Map(rows.map((row) => [row.id, row]));
  }

  private remember(key: string, content: Content): void {
    this.cache.delete(key);
    this.cache.set(key, content);
    if (this.cache.size <= CACHE_ENTRIES_MAX) return;
    const oldest = this.cache.keys().next();
    if (oldest.done !== true) this.cache.delete(oldest.value);
  }
}
