/**
 * The fake push service as a process of its own, for benches, whole-system tests and trying things by hand:
 * `node dist/libs/testing/src/push-service/main.js [--vendors fcm,mozilla] [--decrypt-every 1] [--streams-max 100] [--protocols h2,http/1.1]`.
 *
 * It prints one line of JSON, `{ origins, ca, controlUrl }`, and runs until SIGTERM or SIGINT, or until the process that forked it ends.
 */
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { startControlPort } from './control-port.js';
import { startFakePushService } from './fake-push-service.js';
import { vendorSchema } from './push-service-types.js';

const { values } = parseArgs({
  options: {
    vendors: { type: 'string', default: 'other' },
    protocols: { type: 'string', default: 'h2,http/1.1' },
    'decrypt-every': { type: 'string', default: '1' },
    'streams-max': { type: 'string', default: '100' },
  },
});
const options = z
  .object({
    vendors: z.array(vendorSchema).min(1),
    protocols: z.array(z.enum(['h2', 'http/1.1'])).min(1),
    decryptEvery: z.coerce.number().int().min(0),
    streamsMax: z.coerce.number().int().min(0),
  })
  .parse({
    vendors: values.vendors.split(','),
    protocols: values.protocols.split(','),
    decryptEvery: values['decrypt-every'],
    streamsMax: values['streams-max'],
  });

const service = await startFakePushService(options);
const control = await startControlPort(service);
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(0));
process.once('disconnect', () => process.exit(0));
process.stdout.write(`${JSON.stringify({ origins: service.origins, ca: service.ca, controlUrl: control.url })}\n`);
