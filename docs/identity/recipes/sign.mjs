// Proofs of identity for Belfry in Node, with nothing but its own modules. (In an application, use @belfry/server: it checks more.)
//
//   BELFRY_PUBLIC_KEY=pk_… BELFRY_IDENTITY_SECRET=isk_… node sign.mjs FORM ARGUMENTS
//
//   plain ID            v2-subscriber ID SECONDS
//   base64 ID           v2-traits ID SECONDS NAME=VALUE …
//   dotted ID SECONDS   v2-company ID COMPANY SECONDS
//
// SECONDS is Unix time: Math.floor(Date.now() / 1000).

import { createHash, createHmac } from 'node:crypto';

const PUBLIC_KEY = process.env.BELFRY_PUBLIC_KEY ?? '';
const SECRET = process.env.BELFRY_IDENTITY_SECRET ?? '';
if (SECRET.length < 32) throw new Error('BELFRY_IDENTITY_SECRET is not set, or too short');

// An id with a line feed in it could say more than an id.
function checked(id) {
  if (id === '' || Buffer.byteLength(id) > 255 || /\p{Cc}/u.test(id)) throw new Error('not an id');
  return id;
}

function mac(text) {
  return createHmac('sha256', SECRET).update(text, 'utf8');
}

// Canonical JSON (RFC 8785). JSON.stringify writes numbers and strings as the RFC asks; sort() compares UTF-16 code units, as it asks too.
// Traits may be anything that JSON can say; pass them through JSON first, so that dates are text and undefined is gone.
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const names = Object.keys(value).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(',')}}`;
}

const digest = (traits) => createHash('sha256').update(canonical(traits), 'utf8').digest('hex');

const FORMS = {
  plain: (id) => mac(checked(id)).digest('hex'),
  base64: (id) => mac(checked(id)).digest('base64'),
  dotted: (id, seconds) => mac(`${checked(id)}.${seconds}`).digest('hex'),
  'v2-subscriber': (id, seconds) => mac(`v2:subscriber\n${PUBLIC_KEY}\n${seconds}\n${checked(id)}`).digest('hex'),
  'v2-traits': (id, seconds, ...pairs) =>
    mac(`v2:subscriber\n${PUBLIC_KEY}\n${seconds}\n${checked(id)}\n${digest(toTraits(pairs))}`).digest('hex'),
  'v2-company': (id, company, seconds) => mac(`v2:company\n${PUBLIC_KEY}\n${seconds}\n${checked(id)}\n${checked(company)}`).digest('hex'),
};

function toTraits(pairs) {
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
}

const [form, ...rest] = process.argv.slice(2);
console.log(FORMS[form](...rest));
