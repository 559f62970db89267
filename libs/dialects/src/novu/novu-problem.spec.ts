import { describe, expect, it } from 'vitest';
import { type Problem, toProblem, ValidationFailedError } from '#http';
import { IdentityMismatchError, IdentityMissingError, SessionExpiredError } from '#identity';
import { presentNovuProblem, presentNovuSessionProblem } from './novu-problem.js';

const post = { method: 'POST', url: '/v1/inbox/session?x=1' };
const get = { method: 'GET', url: '/v1/inbox/notifications' };
const problemOf = (error: Parameters<typeof toProblem>[0]): Problem => toProblem(error, 'request-1');
const invalid = problemOf(
  new ValidationFailedError([
    { pointer: '/subscriber/email', code: 'invalid', message: 'is too long' },
    { pointer: '/subscriber/email', code: 'invalid', message: 'is no text' },
    { pointer: '', code: 'invalid', message: 'must be an object' },
  ]),
);

describe('presentNovuProblem', () => {
  it('keeps our members and adds those that the client reads', () => {
    const ours = problemOf(new SessionExpiredError());
    expect(presentNovuProblem(ours, get)).toEqual({
      ...ours,
      statusCode: 401,
      timestamp: expect.stringMatching(/^\d{4}-.*Z$/),
      path: '/v1/inbox/notifications',
      message: ours.detail,
    });
  });

  it('names faults by field: 422 for a body, 400 for a query', () => {
    const shown = presentNovuProblem(invalid, post);
    expect(shown).toMatchObject({ status: 422, statusCode: 422, path: '/v1/inbox/session' });
    expect(shown['errors']).toEqual({
      'subscriber.email': { messages: ['is too long', 'is no text'] },
      general: { messages: ['must be an object'] },
    });
    expect(shown['message']).toBe('subscriber.email is too long; subscriber.email is no text; general must be an object');
    expect(presentNovuProblem(invalid, get)).toMatchObject({ status: 400, statusCode: 400 });
  });
});

describe('presentNovuSessionProblem', () => {
  it('answers 400 to a refused hash, with the sentence of these clients', () => {
    for (const error of [new IdentityMissingError(), new IdentityMismatchError()]) {
      const shown = presentNovuSessionProblem(problemOf(error), post);
      expect(shown).toMatchObject({ status: 400, statusCode: 400, code: error.facts.code });
      expect(shown['message']).toMatch(/^Please provide a valid HMAC hash\. /);
    }
    expect(presentNovuSessionProblem(invalid, post).status).toBe(422);
  });
});
