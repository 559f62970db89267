import type { AbuseRequest } from './abuse-request.js';
import type { Answer } from './send-bytes.js';

/** Statuses with which a state that others changed meanwhile refuses a valid request: gone, conflicting, over a limit. */
const STATE_REFUSALS: readonly number[] = [404, 409, 422, 429];
/** Whatever the request is: on a machine that is busy enough, it came in too slowly. */
const TOO_SLOW = 408;
/** A client that sends on may never see the refusal of a body this large: the connection is closed under it. */
const REFUSED_EARLY_BYTES = 60_000;

/** What is wrong with an answer in one sentence; `undefined` when nothing is. */
export function judgeAnswer(request: AbuseRequest, answer: Answer, sentBytes: number): string | undefined {
  const { status } = answer;
  if (status === 'unanswered') return request.wire.end === 'wait' ? 'There was no answer.' : undefined;
  if (status === 'closed') {
    const mayClose = request.expect === 'wire' || sentBytes > REFUSED_EARLY_BYTES;
    return mayClose ? undefined : 'The connection was closed without an answer.';
  }
  if (status >= 500) return `The answer is ${status}: ${answer.body.slice(0, 500)}`;
  const unexpected = status === TOO_SLOW ? undefined : judgeStatus(request, status);
  if (unexpected !== undefined) return `${unexpected} ${answer.body.slice(0, 500)}`;
  return status >= 400 && request.method !== 'HEAD' ? judgeProblem(answer, status) : undefined;
}

function judgeStatus({ expect }: AbuseRequest, status: number): string | undefined {
  switch (expect) {
    case 'success':
      return status < 400 || STATE_REFUSALS.includes(status) ? undefined : `A valid request was answered with ${status}:`;
    case 'refused':
      return status >= 400 ? undefined : `A bad request was answered with ${status}:`;
    case 'not-found':
      return status === 404 ? undefined : `An id of nobody's or of somebody else's was answered with ${status}, not 404:`;
    case 'sane':
    case 'wire':
      return undefined;
  }
}

/** Every refusal is a problem document with a code. */
function judgeProblem({ headers, body }: Answer, status: number): string | undefined {
  if (headers.get('content-type')?.startsWith('application/problem+json') !== true)
    return `The ${status} is no problem document but ${headers.get('content-type') ?? 'without a type'}: ${body.slice(0, 200)}`;
  try {
    const problem = JSON.parse(body) as Record<string, unknown>;
    const complete = ['type', 'title', 'code', 'hint', 'request_id', 'detail'].every((name) => typeof problem[name] === 'string');
    return complete && problem['status'] === status ? undefined : `The ${status} is an incomplete problem document: ${body.slice(0, 300)}`;
  } catch {
    return `The ${status} is a problem document that is no JSON: ${body.slice(0, 300)}`;
  }
}
