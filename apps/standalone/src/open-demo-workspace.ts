import { OpenWorkspace } from '#identity';
import { DemoLogin } from '#web-files';
import type { DemoKeys } from './demo/demo-people.js';
import type { Standalone } from './start-standalone.js';

/**
 * Opens a workspace of its own and gives the keys of its development environment, for which alone the inbox page signs.
 * @param suggestedSubscriber whose inbox the page suggests; `undefined` where the app runs without the demo's login
 */
export async function openDemoWorkspace({ app }: Standalone, title: string, suggestedSubscriber: string | undefined): Promise<DemoKeys> {
  const name = `${title} ${new Date().toISOString().slice(0, 19)}`;
  const workspace = await app.get(OpenWorkspace).run({ name, onlyFirst: false });
  const opened = workspace.environments.find(({ environment }) => environment.kind === 'development');
  if (opened === undefined) throw new Error('The new workspace has no development environment.');
  const { apiKey, identitySecret, environment } = opened;
  const { kind, publicKey } = environment;
  if (suggestedSubscriber !== undefined) {
    app.get(DemoLogin).admit({ kind, publicKey, identitySecret, subscriberId: suggestedSubscriber });
  }
  return { publicKey, apiKey, identitySecret };
}
