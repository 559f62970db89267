import type { Environment } from '#config';
import { openDemoWorkspace } from './open-demo-workspace.js';
import { startStandalone } from './start-standalone.js';

/** Whose inbox the page suggests; the subscriber is made at the first login. */
const SUGGESTED_SUBSCRIBER = 'user-1';

/**
 * `npm start -- --demo-login`: the standalone app with the demo's login for a workspace of its own, to try the inbox page on. It is an
 * argument and no setting, so that no environment file can turn it on.
 * @throws DemoLoginUnsafeError
 */
export async function startWithDemoLogin(env: Environment): Promise<void> {
  const standalone = await startStandalone({ BELFRY_HTTP_HOST: '127.0.0.1', ...env }, { hasDemoLogin: true });
  const { apiKey } = await openDemoWorkspace(standalone, 'Page', SUGGESTED_SUBSCRIBER);
  const { url } = standalone;
  process.stdout.write(`
  Inbox page             ${url}/inbox?subscriber=${SUGGESTED_SUBSCRIBER}
  API key (development)  ${apiKey}
  Send a message to it   curl -s ${url}/v1/messages -H 'authorization: Bearer ${apiKey}' -H 'content-type: application/json' \\
                           -d '{"subscriber_id":"${SUGGESTED_SUBSCRIBER}","channels":["inbox"],"title":"Hello from the API"}'

`);
}
