import { Injectable } from '@nestjs/common';
import { Database, type Sql, type Transaction } from '#database';
import type { PushVendor } from './push-vendor.js';

/** The life of a device: `active` devices get messages; `gone` ones were given up by their push service. */
export const DEVICE_STATES = ['active', 'gone', 'unsubscribed'] as const;

export type DeviceState = (typeof DEVICE_STATES)[number];

/** A device as its owner may see it. */
export interface Device {
  readonly id: string;
  readonly vendor: PushVendor;
  readonly state: DeviceState;
  readonly userAgent: string | null;
  readonly createdAt: Date;
  readonly lastSeenAt: Date;
}

/** A device as a browser registers it. */
export interface DeviceRegistration {
  /** Used when the endpoint is new. */
  readonly id: string;
  readonly vendor: PushVendor;
  readonly vapidKeyId: string;
  readonly endpointHash: Buffer;
  /** Endpoint and authentication secret, sealed. */
  readonly ciphertext: Buffer;
  readonly p256dh: Buffer;
  readonly userAgent: string | null;
  readonly at: Date;
}

/** An active device with what proves a browser to be it. */
export interface ProvableDevice {
  readonly id: string;
  readonly subscriberId: string;
  /** Endpoint and authentication secret, sealed. */
  readonly ciphertext: Buffer;
  readonly p256dh: Buffer;
}

/** Whose devices: every statement is bound to it, so that a foreign device is an unknown device. */
export interface DeviceOwner {
  readonly environmentId: string;
  readonly subscriberId: string;
}

const COLUMNS = `id, vendor, state, user_agent AS "userAgent", created_at AS "createdAt", last_seen_at AS "lastSeenAt"`;

/** All SQL over push.device but what senders do. */
@Injectable()
export class DeviceStore {
  constructor(private readonly database: Database) {}

  /**
   * Makes concurrent registrations of one subscriber, and of one endpoint, wait for each other until the end of the transaction. Everybody
   * takes the two locks in this order, so that nobody waits in a circle.
   */
  async lockRegistration(owner: DeviceOwner, endpointHash: Buffer, tx: Transaction): Promise<void> {
    await tx.query({
      text: `-- every environment: subscriber ids and hashes of endpoints are unique over all of them
        SELECT pg_advisory_xact_lock(hashtextextended('push.device:' || $1::text, 0)),
          pg_advisory_xact_lock(hashtextextended('push.endpoint:' || encode($2::bytea, 'hex'), 0))`,
      values: [owner.subscriberId, endpointHash],
    });
  }

  /**
   * Registers an endpoint for its owner. An endpoint that is known keeps its device id, whatever state it was in; when it belonged to
   * another subscriber it is the new owner's from now on: who may take it is decided before.
   */
  async upsert(owner: DeviceOwner, registration: DeviceRegistration, tx: Sql = this.database): Promise<Device> {
    const { id, vendor, vapidKeyId, endpointHash, ciphertext, p256dh, userAgent, at } = registration;
    const [row] = await tx.query<Device>({
      name: 'push.upsert-device',
      text: `INSERT INTO push.device AS device (environment_id, id, subscriber_id, vapid_key_id, vendor, endpoint_hash, ciphertext, p256dh,
          user_agent, created_at, last_seen_at, state_changed_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $10)
        ON CONFLICT (environment_id, endpoint_hash) DO UPDATE SET subscriber_id = excluded.subscriber_id, vapid_key_id = excluded.vapid_key_id,
          ciphertext = excluded.ciphertext, p256dh = excluded.p256dh, user_agent = excluded.user_agent, last_seen_at = excluded.last_seen_at,
          created_at = CASE WHEN device.subscriber_id = excluded.subscriber_id THEN device.created_at ELSE excluded.created_at END,
          state_changed_at = CASE WHEN device.state = 'active' THEN device.state_changed_at ELSE excluded.state_changed_at END,
          state = 'active', state_reason = NULL
        RETURNING ${COLUMNS}`,
      values: [owner.environmentId, id, owner.subscriberId, vapidKeyId, vendor, endpointHash, ciphertext, p256dh, userAgent, at],
    });
    if (row === undefined) throw new Error('An upsert gave no row.');
    return row;
  }

  /** Unsubscribes the active devices beyond so many, those first that were not seen for longest. */
  async unsubscribeSurplus(owner: DeviceOwner, limit: { devicesMax: number; at: Date }, tx: Sql = this.database): Promise<number> {
    return tx.execute({
      text: `UPDATE push.device SET state = 'unsubscribed', state_reason = 'too_many_devices', state_changed_at = $4, ciphertext = NULL
        WHERE environment_id = $1 AND id IN (
          SELECT id FROM push.device WHERE environment_id = $1 AND subscriber_id = $2 AND state = 'active'
          ORDER BY last_seen_at DESC, id DESC OFFSET $3)`,
      values: [owner.environmentId, owner.subscriberId, limit.devicesMax, limit.at],
    });
  }

  /** Devices after `afterId` in the order of their ids; those that were unsubscribed are left out. */
  async list(owner: DeviceOwner, page: { limit: number; afterId?: string }, tx: Sql = this.database): Promise<Device[]> {
    return tx.query<Device>({
      text: `SELECT ${COLUMNS} FROM push.device
        WHERE environment_id = $1 AND subscriber_id = $2 AND state <> 'unsubscribed' AND ($3::uuid IS NULL OR id > $3) ORDER BY id LIMIT $4`,
      values: [owner.environmentId, owner.subscriberId, page.afterId ?? null, page.limit],
    });
  }

  /** The active device of an endpoint with what proves that it is this device; whose it is comes out of it. */
  async findActiveByEndpoint(environmentId: string, endpointHash: Buffer, tx: Sql = this.database): Promise<ProvableDevice | undefined> {
    const [row] = await tx.query<ProvableDevice>({
      text: `SELECT id, subscriber_id AS "subscriberId", ciphertext, p256dh FROM push.device
        WHERE environment_id = $1 AND endpoint_hash = $2 AND state = 'active'`,
      values: [environmentId, endpointHash],
    });
    return row;
  }

  /** Unsubscribes a device and forgets its secrets; repeating it changes nothing. False when the owner has no such device. */
  async unsubscribe(owner: DeviceOwner, deviceId: string, at: Date, tx: Sql = this.database): Promise<boolean> {
    const touched = await tx.execute({
      text: `UPDATE push.device SET state = 'unsubscribed', state_reason = NULL, ciphertext = NULL,
          state_changed_at = CASE WHEN state = 'unsubscribed' THEN state_changed_at ELSE $4 END
        WHERE environment_id = $1 AND subscriber_id = $2 AND id = $3`,
      values: [owner.environmentId, owner.subscriberId, deviceId, at],
    });
    return touched > 0;
  }
}
