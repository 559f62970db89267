import { defineConfig, integerText, setting } from '#config';

/** The longest that a session can be kept alive by refreshing, whatever the settings. */
export const SESSION_SECONDS_MAX = 12 * 60 * 60;

/**
 * Settings of identity. A proof cannot be guessed (256 bits), so the limits only keep floods away. They are generous because a whole
 * company or a mobile network may share one address. Each instance counts for itself.
 */
export const identityConfig = defineConfig('identity', {
  sessionAttemptsPerMinute: setting('IDENTITY_SESSION_ATTEMPTS_PER_MINUTE', integerText({ min: 1, max: 10_000_000 }).default(30_000), {
    describe: 'Calls of POST /v1/session per network address and environment in one minute, per instance; further ones get 429.',
  }),
  sessionRejectionsPerMinute: setting('IDENTITY_SESSION_REJECTIONS_PER_MINUTE', integerText({ min: 1, max: 10_000_000 }).default(3_000), {
    describe: 'Refused proofs per network address in one minute, per instance; after that every call of the address gets 429.',
  }),
  unverifiedPerMinute: setting('IDENTITY_UNVERIFIED_PER_MINUTE', integerText({ min: 1, max: 10_000_000 }).default(3_000), {
    describe:
      "Calls of POST /v1/identify, /v1/group and of the dialects' identify that a policy lets in without a proof, per network address and environment in one minute, per instance; further ones get 429.",
  }),
  diagnosesPerMinute: setting('IDENTITY_DIAGNOSES_PER_MINUTE', integerText({ min: 1, max: 10_000 }).default(30), {
    describe: 'Calls of POST /v1/identity/diagnose per environment in one minute, per instance; further ones get 429.',
  }),
  sessionSecondsMax: setting(
    'IDENTITY_SESSION_SECONDS_MAX',
    integerText({ min: 900, max: SESSION_SECONDS_MAX }).default(SESSION_SECONDS_MAX),
    {
      describe:
        'How long a session can be kept alive by refreshing its tokens, which last 15 minutes; then the proof is asked for again. Also the life of a token of the Novu dialect; live connections of NotificationAPI, which has no sessions, end after 12 hours.',
    },
  ),
  revocationPollMs: setting('IDENTITY_REVOCATION_POLL_MS', integerText({ min: 50, max: 4_000 }).default(1_000), {
    describe: 'How often a gateway reads which subscribers and keys were revoked; their sessions and streams end by then.',
  }),
});
