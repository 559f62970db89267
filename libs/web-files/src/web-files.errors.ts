import { BelfryError, type ErrorFacts } from '#contracts';

/** No such file of the browser client, or none is served here. */
export class WebFileNotFoundError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'web_file_not_found',
    httpStatus: 404,
    disposition: 'dead-letter',
    title: 'There is no such file of the browser client',
    hint: 'Look at the name; a gateway serves the files only with BELFRY_WEB_CLIENT=true.',
  };

  constructor() {
    super('this gateway serves no file of this name');
  }
}

/** The gateway is to serve the browser client, but it was not built. */
export class WebClientNotBuiltError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'web_client_not_built',
    httpStatus: 500,
    disposition: 'pause',
    title: 'The browser client was not built',
    hint: 'Run `npm run build`, or set BELFRY_WEB_CLIENT=false.',
  };

  constructor(cause: unknown) {
    super('the files of the browser client are missing', { cause });
  }
}

/** The demo's login was asked by somebody who may not use it. */
export class DemoLoginRefusedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'demo_login_refused',
    httpStatus: 403,
    disposition: 'dead-letter',
    title: 'The login of the demo is not for this request',
    hint: 'Open the demo under a loopback address on the machine that runs it, without a proxy. Sites sign subscriber ids on their own server.',
  };
}

/** The demo's login cannot be turned on in this configuration. */
export class DemoLoginUnsafeError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'demo_login_unsafe',
    httpStatus: 500,
    disposition: 'pause',
    title: 'The login of the demo cannot be turned on in this configuration',
    hint: 'It lets everybody who reaches it in as any subscriber: it is for a standalone app on this machine alone, with its own embedded Postgres.',
  };

  constructor(reasons: readonly string[]) {
    super(`the login of the demo is refused: ${reasons.join('; ')}`, { details: { reasons } });
  }
}
