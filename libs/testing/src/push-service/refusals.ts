import type { PushServiceVendor } from './push-service-types.js';
import type { VapidFault } from './check-vapid.js';

/** An answer in the words of a vendor. */
export interface Refusal {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * How each vendor refuses an Authorization, as their documentation and reports of senders have it: Mozilla says 401 to every fault, FCM and
 * Apple tell a wrong key from a wrong token by their text alone. RFC 8292 section 4.2 suggests 401 where there is none and 403 otherwise.
 */
export function refuseVapid(vendor: PushServiceVendor, { kind, detail }: VapidFault): Refusal {
  switch (vendor) {
    case 'mozilla':
      return json(401, { code: 401, errno: 109, error: 'Unauthorized', message: detail });
    case 'apple':
      return json(kind === 'other_key' ? 400 : 403, { reason: kind === 'other_key' ? 'VapidPkHashMismatch' : 'BadJwtToken' });
    case 'fcm':
      if (kind !== 'other_key') return text(kind === 'malformed' ? 401 : 403, `UnauthorizedRegistration: ${detail}`);
      return text(
        403,
        'the VAPID credentials in the authorization header do not correspond to the credentials used to create the subscriptions.',
      );
    case 'wns':
      return refuse(vendor, kind === 'malformed' ? 401 : 403, detail);
    case 'other':
      return text(kind === 'malformed' ? 401 : 403, detail);
  }
}

/** Any other refusal: WNS gives its reason in a header and an empty body, the others in the body. */
export function refuse(vendor: PushServiceVendor, status: number, detail: string): Refusal {
  return vendor === 'wns' ? { status, body: '', headers: { 'x-wns-error-description': detail } } : text(status, detail);
}

function text(status: number, body: string): Refusal {
  return { status, body, headers: { 'content-type': 'text/plain; charset=utf-8' } };
}

function json(status: number, body: object): Refusal {
  return { status, body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
}
