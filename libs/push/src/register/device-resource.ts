import { encodeId } from '#contracts';
import { z } from 'zod';
import { DEVICE_STATES, type Device } from '../device.store.js';
import { PUSH_VENDORS } from '../push-vendor.js';

/** A device as the API shows it. Endpoint and keys never leave the installation again. */
export const deviceResourceSchema = z
  .object({
    id: z.string().meta({ description: 'Public id, `dev_…`.' }),
    vendor: z.enum(PUSH_VENDORS).meta({ description: 'The operator of its push service.' }),
    state: z.enum(DEVICE_STATES).meta({ description: '`gone`: the push service says that the subscription is over.' }),
    user_agent: z.string().nullable().meta({ description: 'What the browser called itself when it was last seen.' }),
    created_at: z.iso.datetime(),
    last_seen_at: z.iso.datetime().meta({ description: 'When the browser last registered it.' }),
  })
  .meta({ id: 'PushDevice' });

export type DeviceResource = z.infer<typeof deviceResourceSchema>;

/** Shows a device. */
export function presentDevice(device: Device): DeviceResource {
  return {
    id: encodeId('device', device.id),
    vendor: device.vendor,
    state: device.state,
    user_agent: device.userAgent,
    created_at: device.createdAt.toISOString(),
    last_seen_at: device.lastSeenAt.toISOString(),
  };
}
