import { z } from 'zod';
import { defineConfig, setting } from '#config';
import { parseSecretKey, SECRET_KEY_BYTES } from './secret-box.js';

/** Settings of tenancy: the key that protects stored secrets and signs session tokens. */
export const tenancyConfig = defineConfig('tenancy', {
  secretKey: setting(
    'BELFRY_SECRET_KEY',
    z
      .string()
      .transform((text, context) => {
        const key = parseSecretKey(text);
        if (key !== undefined) return key;
        context.addIssue({ code: 'custom', message: `is not the base64 form of ${SECRET_KEY_BYTES} bytes` });
        return z.NEVER;
      })
      .meta({ configType: `base64 of ${SECRET_KEY_BYTES} bytes` }),
    {
      describe:
        "The installation's key: encrypts stored secrets and signs session tokens. The same for all processes; without it stored secrets cannot be read. The embedded default makes one and keeps it in the data directory.",
      remedy: 'Make one with "openssl rand -base64 32", keep a copy in a safe place, and give it to every process.',
      secret: true,
    },
  ),
});
