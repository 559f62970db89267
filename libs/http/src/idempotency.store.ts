import { Injectable } from '@nestjs/common';
import type { Transaction } from '#database';

/** One request that may be repeated: who sent it, where, under which key, and what it said. */
export interface IdempotentRequest {
  readonly environmentId: string;
  /** Method and route pattern: `POST /v1/campaigns/:id/trigger`. Ids of the path belong into the hashed request. */
  readonly route: string;
  readonly key: string;
  /** 32 bytes, see `hashRequest`. */
  readonly requestHash: Buffer;
}

/** What is kept of a finished request. */
export interface IdempotencyRecord {
  readonly requestHash: Buffer;
  readonly response: unknown;
}

/** All SQL of http.idempotency_record. */
@Injectable()
export class IdempotencyStore {
  /**
   * Takes the key for this transaction. Another transaction that holds the same key is waited for on the primary key; when it
   * commits, the key is taken, when it rolls back, it is free. A key past its retention counts as free.
   *
   * @returns true when the key is ours.
   */
  async claim(request: IdempotentRequest, retentionHours: number, tx: Transaction): Promise<boolean> {
    const claimed = await tx.execute({
      name: 'http.idempotency-claim',
      text: `
        INSERT INTO http.idempotency_record AS record (environment_id, route, key, request_hash)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT (environment_id, route, key) DO UPDATE
          SET request_hash = excluded.request_hash, response = NULL, created_at = now()
          WHERE record.created_at < now() - make_interval(hours => $5)`,
      values: [request.environmentId, request.route, request.key, request.requestHash, retentionHours],
    });
    return claimed === 1;
  }

  /** Keeps the answer of a claimed key. */
  async complete(request: IdempotentRequest, responseJson: string, tx: Transaction): Promise<void> {
    await tx.execute({
      name: 'http.idempotency-complete',
      text: `UPDATE http.idempotency_record SET response = $4 WHERE environment_id = $1 AND route = $2 AND key = $3`,
      values: [request.environmentId, request.route, request.key, responseJson],
    });
  }

  /** The record of a key that another transaction has committed. */
  async find(request: IdempotentRequest, tx: Transaction): Promise<IdempotencyRecord | undefined> {
    const rows = await tx.query<IdempotencyRecord>({
      name: 'http.idempotency-find',
      text: `
        SELECT request_hash AS "requestHash", response
        FROM http.idempotency_record WHERE environment_id = $1 AND route = $2 AND key = $3`,
      values: [request.environmentId, request.route, request.key],
    });
    return rows[0];
  }
}
