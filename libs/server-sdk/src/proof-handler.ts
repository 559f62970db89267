import type { IdentitySigner, SubscriberProof, Traits } from './identity-signer.js';

/** The person who is signed in, by your session; with traits, the proof covers them. */
export type SignedInUser = string | { readonly id: string; readonly traits?: Traits };

/** What a handler is made with. */
export interface ProofHandlerOptions<Request> {
  readonly signer: IdentitySigner;
  /**
   * Who is signed in, by your own session: never by anything that the page can choose, such as a query or a body. Nothing (`undefined`,
   * `null`, `false` or an empty text) is answered with 401.
   */
  readonly user: (request: Request) => Answer | Promise<Answer>;
}

type Answer = SignedInUser | { readonly id?: null } | undefined | null | false;

/** What a handler needs of a response: that of `node:http`, and of everything built on it, has it. */
export interface ProofResponse {
  writeHead(status: number, headers: Record<string, string>): { end(body: string): unknown };
}

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const NOT_SIGNED_IN = { type: 'about:blank', title: 'Nobody is signed in', status: 401, code: 'not_signed_in' };
const FAILED = { type: 'about:blank', title: 'The proof could not be made', status: 500, code: 'proof_failed' };

/**
 * A handler for Express, Connect, Polka and plain `node:http`: answers the proof of the person who is signed in as JSON that no cache
 * keeps, and 401 when nobody is. It sets no CORS headers: pages of other origins cannot read the answer.
 *
 * A mistake of the integration (an id that is a number, for example) goes to `next` where there is one; otherwise it becomes a 500 that
 * says nothing, and is printed as a warning of the process.
 */
export function proofHandler<Request>(
  options: ProofHandlerOptions<Request>,
): (request: Request, response: ProofResponse, next?: (error: unknown) => void) => Promise<void> {
  return async (request, response, next) => {
    const reply = await replyTo(options, request, next);
    if (reply !== undefined) response.writeHead(reply.status, { ...reply.headers }).end(reply.body);
  };
}

/** As {@link proofHandler}, for servers that speak in `Request` and `Response`: Next.js, Hono, Deno, Bun. */
export function proofFetchHandler(options: ProofHandlerOptions<Request>): (request: Request) => Promise<Response> {
  return async (request) => {
    const { status, headers, body } = (await replyTo(options, request)) ?? problem(FAILED);
    return new Response(body, { status, headers });
  };
}

async function replyTo<Request>(
  { signer, user }: ProofHandlerOptions<Request>,
  request: Request,
  next?: (error: unknown) => void,
): Promise<Reply | undefined> {
  try {
    const signedIn = await user(request);
    return isNobody(signedIn) ? problem(NOT_SIGNED_IN) : toReply(200, 'application/json', signFor(signer, signedIn));
  } catch (error) {
    if (next === undefined) {
      process.emitWarning(error instanceof Error ? error : String(error));
      return problem(FAILED);
    }
    next(error);
    return undefined;
  }
}

function isNobody(answer: Answer): answer is Exclude<Answer, SignedInUser> {
  const id = typeof answer === 'object' && answer !== null ? answer.id : answer;
  return id === undefined || id === null || id === false || id === '';
}

function signFor(signer: IdentitySigner, user: SignedInUser): SubscriberProof {
  if (typeof user !== 'object') return signer.signFresh(user);
  return user.traits === undefined ? signer.signFresh(user.id) : signer.signTraits(user.id, user.traits);
}

function problem(facts: typeof NOT_SIGNED_IN): Reply {
  return toReply(facts.status, 'application/problem+json', facts);
}

function toReply(status: number, contentType: string, body: object): Reply {
  const headers = { 'content-type': `${contentType}; charset=utf-8`, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };
  return { status, headers, body: JSON.stringify(body) };
}
