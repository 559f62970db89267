/**
 * Everything an API key can be allowed to do: a closed list. A scope covers one noun; `write` does not imply `read`.
 * Imports belong to `subscribers`, runs to `campaigns`, identity secrets to `keys`.
 */
export const SCOPES = [
  'subscribers:read',
  'subscribers:write',
  'segments:read',
  'segments:write',
  'campaigns:read',
  'campaigns:write',
  'messages:read',
  'messages:write',
  'environment:read',
  'environment:write',
  'keys:read',
  'keys:write',
  'dead-letters:read',
  'dead-letters:write',
] as const;

export type Scope = (typeof SCOPES)[number];
