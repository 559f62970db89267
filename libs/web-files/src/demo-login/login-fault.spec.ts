import { describe, expect, it } from 'vitest';
import { type LoginRequest, loginFault } from './login-fault.js';

const good: LoginRequest = { headers: { origin: 'http://127.0.0.1:3000' }, host: '127.0.0.1:3000', address: '127.0.0.1' };

describe('loginFault', () => {
  it.each<LoginRequest>([
    good,
    { ...good, headers: {} },
    { headers: { origin: 'http://localhost:3000' }, host: 'localhost:3000', address: '::ffff:127.0.0.1' },
    { headers: { origin: 'http://[::1]:3000' }, host: '[::1]:3000', address: '::1' },
  ])('lets the person at this machine in: %j', (request) => expect(loginFault(request)).toBeUndefined());

  it.each(['10.0.0.7', '192.0.2.1', '::ffff:10.0.0.7', '2001:db8::1', '', '127.0.0.1.example'])('refuses the address %j', (address) =>
    expect(loginFault({ ...good, address })).toBeDefined(),
  );

  it.each(['belfry.example', 'localhost.example:3000', '127.0.0.1.nip.example', '', 'localhost:3000/x', 'user@localhost'])(
    'refuses the host %j, whatever it resolves to',
    (host) => expect(loginFault({ ...good, headers: {}, host })).toBeDefined(),
  );

  it.each(['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip'])(
    'refuses what came through a proxy that sends %s',
    (name) => expect(loginFault({ ...good, headers: { [name]: '127.0.0.1' } })).toBeDefined(),
  );

  it.each(['https://evil.example', 'http://127.0.0.1:3001', 'http://localhost:3000', 'null'])('refuses a page of %s', (origin) =>
    expect(loginFault({ ...good, headers: { origin } })).toBeDefined(),
  );
});
