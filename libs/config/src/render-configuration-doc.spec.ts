import { expect, it } from 'vitest';
import { z } from 'zod';
import { defineConfig } from './config-section.js';
import { renderConfigurationDoc } from './render-configuration-doc.js';
import { integerText, setting } from './setting.js';

it('renders one table per section with type, default, secrecy and description of each key', () => {
  const section = defineConfig('store', {
    url: setting('STORE_URL', z.url(), { describe: 'Where the store is.', secret: true, example: 'https://store.example' }),
    level: setting('STORE_LEVEL', z.enum(['low', 'high']).default('low'), { describe: 'How much.' }),
    port: setting('STORE_PORT', integerText({ min: 1, max: 9 }).optional(), { describe: 'Which port.' }),
  });
  const doc = renderConfigurationDoc([section]);
  expect(doc).toContain('## store');
  expect(doc).toContain('| `STORE_URL` | URL | **required** | yes | Where the store is. Example: `https://store.example` |');
  expect(doc).toContain('| `STORE_LEVEL` | `low` \\| `high` | `low` |  | How much. |');
  expect(doc).toContain('| `STORE_PORT` | integer 1..9 | unset |  | Which port. |');
});
