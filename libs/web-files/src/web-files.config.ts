import { booleanText, defineConfig, setting } from '#config';

/** Settings of what the gateway serves to browsers besides its API. */
export const webFilesConfig = defineConfig('web-files', {
  isEnabled: setting('BELFRY_WEB_CLIENT', booleanText().default(false), {
    describe:
      'Serve the browser client and its service worker below /sdk/v1 and the inbox page at /inbox. `npm start` and `npm run demo` turn it on unless told otherwise.',
    remedy: 'Write true to let sites load the client from here; sites that bundle it themselves do not need it.',
    example: 'true',
  }),
});
