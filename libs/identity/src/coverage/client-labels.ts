import { type Environment, isOriginAllowed } from '#tenancy';
import type { PageOrigin } from '../browser-origins/browser-origins.js';

/** Where a claim came without the header. */
export const ABSENT = 'none';

/** What was not counted by its own name: it is not allowed, not well formed, or one too many. */
export const OTHER = 'other';

/** Pages of the developer's own machine, whose ports change with each tool. */
export const LOOPBACK = 'loopback';

/** Pages that this server itself delivers, which need no permission; an origin that is listed all the same is counted by its name. */
export const SAME_ORIGIN = 'same-origin';

/** Versions of client libraries that an environment can have in an hour and process, as far as a proof that holds came from them. */
export const PROVEN_SDKS_MAX = 24;

/** As {@link PROVEN_SDKS_MAX}, of those that only ever came with something that does not hold: anybody can make them up. */
export const UNPROVEN_SDKS_MAX = 8;

/** Environments whose versions are known apart in an hour; those of further ones are {@link OTHER}. */
const ENVIRONMENTS_MAX = 10_000;

const SDK_LENGTH_MAX = 64;
const SDK = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*\/\d{1,4}\.\d{1,4}\.\d{1,4}(?:-[a-z0-9]+(?:\.[a-z0-9]+)*)?$/;

/** The origin by which a claim is counted: one that the environment allows, or one of four words. */
export function originLabel(environment: Pick<Environment, 'kind' | 'allowedOrigins'>, page: PageOrigin | undefined): string {
  if (page === undefined) return ABSENT;
  const { origin, isOwn } = page;
  if (environment.allowedOrigins.includes(origin)) return origin;
  if (isOwn) return SAME_ORIGIN;
  return isOriginAllowed(environment, origin) ? LOOPBACK : OTHER;
}

/** A library's name and version (`belfry-web/0.1.0`, as in SemVer without build metadata), or `undefined` for every other text. */
export function parseSdk(text: string): string | undefined {
  return text.length <= SDK_LENGTH_MAX && SDK.test(text) ? text : undefined;
}

interface KnownSdks {
  readonly proven: Set<string>;
  readonly unproven: Set<string>;
}

/**
 * Gives the versions of client libraries their places. The text comes from whoever sends the request, so that each environment has few of
 * them, and invented ones cannot take the places of those that prove something. Everybody else is {@link OTHER}.
 */
export class SdkPlaces {
  private known = new Map<string, KnownSdks>();
  private hour = 0;

  /** The version by which a claim of this hour is counted. */
  label(environmentId: string, sdk: string | undefined, { hour, isProven }: { readonly hour: number; readonly isProven: boolean }): string {
    if (sdk === undefined) return ABSENT;
    const parsed = parseSdk(sdk);
    const known = parsed === undefined ? undefined : this.knownOf(environmentId, hour);
    if (parsed === undefined || known === undefined) return OTHER;
    if (known.proven.has(parsed) || (known.unproven.has(parsed) && !isProven)) return parsed;
    const [places, max] = isProven ? [known.proven, PROVEN_SDKS_MAX] : [known.unproven, UNPROVEN_SDKS_MAX];
    if (places.size >= max) return known.unproven.has(parsed) ? parsed : OTHER;
    places.add(parsed);
    if (isProven) known.unproven.delete(parsed);
    return parsed;
  }

  private knownOf(environmentId: string, hour: number): KnownSdks | undefined {
    if (hour !== this.hour) this.known = new Map();
    this.hour = hour;
    let known = this.known.get(environmentId);
    if (known === undefined && this.known.size < ENVIRONMENTS_MAX) {
      known = { proven: new Set(), unproven: new Set() };
      this.known.set(environmentId, known);
    }
    return known;
  }
}
