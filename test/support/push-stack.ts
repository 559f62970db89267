import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FakeDevice } from '#testing';
import { ApiClient, type EnvironmentKeys, openInbox } from './api-client.js';

/** The settings by which a stack sends to a fake push service, and the folder that they need. */
export interface PushSettings {
  readonly env: Readonly<Record<string, string>>;
  remove(): Promise<void>;
}

/** @param service a running fake push service, in this process or in one of its own */
export async function makePushSettings(service: {
  readonly ca: string;
  readonly origins: Readonly<Partial<Record<string, string>>>;
}): Promise<PushSettings> {
  const folder = await mkdtemp(join(tmpdir(), 'belfry-push-ca-'));
  const file = join(folder, 'ca.pem');
  await writeFile(file, service.ca);
  const origins = Object.entries(service.origins).map(([vendor, origin]) => `${origin}=${vendor}`);
  return {
    env: { PUSH_EXTRA_ORIGINS: origins.join(','), PUSH_EXTRA_CA_FILE: file, PUSH_VAPID_SUBJECT: 'mailto:ops@example.com' },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** The key with which browsers subscribe. */
export async function readVapidKey(gatewayUrl: string, { publicKey }: EnvironmentKeys): Promise<string> {
  return (await new ApiClient(gatewayUrl).get<{ public_key: string }>(`/v1/push/vapid-key?public_key=${publicKey}`)).public_key;
}

/** Registers devices as their owner's browsers do. @returns their public ids */
export async function registerDevices(
  gatewayUrl: string,
  keys: EnvironmentKeys,
  owner: { externalId: string; devices: readonly FakeDevice[] },
): Promise<string[]> {
  const session = await openInbox(gatewayUrl, keys, owner.externalId);
  const ids: string[] = [];
  for (const { endpoint, p256dh, auth } of owner.devices) {
    const body = { endpoint, expirationTime: null, keys: { p256dh, auth } };
    ids.push((await session.post<{ id: string }>('/v1/push/subscriptions', { body })).id);
  }
  return ids;
}
