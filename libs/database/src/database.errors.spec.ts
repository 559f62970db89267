import { describe, expect, it } from 'vitest';
import { DatabaseUnavailableError, errorCodeOf, isRepeatable, isUnavailable, translateError } from './database.errors.js';

const withCode = (code: string, message = 'boom') => Object.assign(new Error(message), { code });

describe('database errors', () => {
  it.each(['ECONNREFUSED', 'ECONNRESET', '57P01', '57P02', '57P03', '08000', '08006', '53100', '53300', '25006', '58030'])(
    '%s means that the database is not available',
    (code) => {
      const translated = translateError(withCode(code));
      expect(translated).toBeInstanceOf(DatabaseUnavailableError);
      expect((translated as DatabaseUnavailableError).facts).toMatchObject({
        disposition: 'pause',
        httpStatus: 503,
        code: 'database_unavailable',
      });
    },
  );

  it.each([
    'timeout exceeded when trying to connect',
    'Connection terminated unexpectedly',
    'Connection terminated due to connection timeout',
  ])('"%s" means that the database is not available', (message) => {
    expect(isUnavailable(new Error(message))).toBe(true);
  });

  it.each(['23505', '42P01', '22P02', '57014', '40001', '55P03'])('%s is the error of a statement and passes unchanged', (code) => {
    const error = withCode(code);
    expect(translateError(error)).toBe(error);
  });

  it('finds the code in the causes, and says "unavailable" for those too', () => {
    const wrapped = new Error('outer', { cause: new Error('middle', { cause: withCode('57P01') }) });
    expect(errorCodeOf(wrapped)).toBe('57P01');
    expect(isUnavailable(wrapped)).toBe(true);
  });

  it('repeats serialization failures and deadlocks only', () => {
    expect(['40001', '40P01'].every((code) => isRepeatable(withCode(code)))).toBe(true);
    expect(['40002', '23505', '57P01'].some((code) => isRepeatable(withCode(code)))).toBe(false);
  });

  it('blames the work, not the server, when Postgres ended an idle transaction', () => {
    const idle = withCode('25P03', 'terminating connection due to idle-in-transaction timeout');
    expect(translateError(new Error('Client has encountered a connection error and is not queryable'), idle)).toBe(idle);
  });

  it('keeps the reason as cause and shows no URL', () => {
    const reason = withCode('ECONNREFUSED', '');
    const translated = translateError(reason) as DatabaseUnavailableError;
    expect(translated.cause).toBe(reason);
    expect(translated.message).toBe('Postgres is not available: ECONNREFUSED');
  });
});
