import type { Database } from '#database';
import { newUuid } from '#contracts';
import { SecretBox } from '#tenancy';
import type { FakePushServiceProcess } from '#testing';
import { demoAudience, demoAudienceCsv } from '../../apps/standalone/src/demo/demo-audience.js';
import { DeviceSecrets } from '../../libs/push/src/register/device-secrets.js';
import { readVapidKey } from './push-stack.js';
import type { Stack } from './stack.js';

/** Devices of one statement. */
const DEVICES_PER_INSERT = 1_000;

/** A subscriber and the one device that is theirs. */
export interface PushPerson {
  readonly environmentId: string;
  /** The subscriber's id in the tables. */
  readonly id: string;
  readonly externalId: string;
  /** The device's name at the service. */
  readonly deviceId: string;
}

/**
 * Imports subscribers and gives each one device at the service. The devices are written as the API writes them, but in bulk: registering
 * them is no part of what is measured.
 */
export async function makePushAudience(stack: Stack, service: FakePushServiceProcess, subscribers: number): Promise<PushPerson[]> {
  await stack.api().upload('/v1/imports?id_column=id', 'text/csv', demoAudienceCsv(demoAudience(subscribers)));
  const people = await stack.database.query<Omit<PushPerson, 'deviceId'>>({
    text: 'SELECT environment_id AS "environmentId", id, external_id AS "externalId" FROM subscribers.subscriber ORDER BY id',
  });
  if (people.length !== subscribers) throw new Error(`${people.length} of ${subscribers} subscribers were imported.`);
  const vapidPublicKey = await readVapidKey(stack.gateway().url, stack.keys);
  const devices = await service.createDevices(subscribers, { vapidPublicKey });
  const secrets = new DeviceSecrets(new SecretBox(Buffer.from(stack.env['BELFRY_SECRET_KEY'] ?? '', 'base64')));
  const rows = people.map(({ environmentId, id }, index) => {
    const device = devices[index];
    if (device === undefined) throw new Error('The service made too few devices.');
    const endpointHash = secrets.hashEndpoint(environmentId, device.endpoint);
    const secret = { href: device.endpoint, auth: Buffer.from(device.auth, 'base64url') };
    return {
      environmentId,
      subscriberId: id,
      endpointHash,
      ciphertext: secrets.seal({ environmentId, endpointHash }, secret),
      p256dh: device.p256dh,
    };
  });
  for (let from = 0; from < rows.length; from += DEVICES_PER_INSERT)
    await insertDevices(stack.database, rows.slice(from, from + DEVICES_PER_INSERT));
  await stack.database.execute({ text: 'ANALYZE push.device, subscribers.subscriber' });
  return people.map((person, index) => ({ ...person, deviceId: devices[index]?.deviceId ?? '' }));
}

interface DeviceRow {
  readonly environmentId: string;
  readonly subscriberId: string;
  readonly endpointHash: Buffer;
  readonly ciphertext: Buffer;
  /** base64url. */
  readonly p256dh: string;
}

async function insertDevices(database: Database, rows: readonly DeviceRow[]): Promise<void> {
  await database.execute({
    text: `INSERT INTO push.device (environment_id, id, subscriber_id, vapid_key_id, vendor, endpoint_hash, ciphertext, p256dh)
      SELECT row.environment_id, row.id, row.subscriber_id, key.id, 'other', row.endpoint_hash, row.ciphertext, row.p256dh
      FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bytea[], $5::bytea[], $6::bytea[])
        AS row (environment_id, id, subscriber_id, endpoint_hash, ciphertext, p256dh)
      JOIN push.vapid_key AS key ON key.environment_id = row.environment_id AND key.retired_at IS NULL`,
    values: [
      rows.map((row) => row.environmentId),
      rows.map(() => newUuid()),
      rows.map((row) => row.subscriberId),
      rows.map((row) => row.endpointHash),
      rows.map((row) => row.ciphertext),
      rows.map((row) => Buffer.from(row.p256dh, 'base64url')),
    ],
  });
}
