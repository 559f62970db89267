import type { Scope } from './scopes.js';

/** Kinds of environments. Production is fail-closed from creation; development also serves pages from the developer's machine. */
export const ENVIRONMENT_KINDS = ['production', 'development'] as const;

export type EnvironmentKind = (typeof ENVIRONMENT_KINDS)[number];

/** One environment of a workspace: the unit of isolation. Every row and every query carries its id. */
export interface Environment {
  readonly id: string;
  readonly workspaceId: string;
  readonly name: string;
  readonly kind: EnvironmentKind;
  /** `pk_…`: names the environment in a web page; proves nothing. */
  readonly publicKey: string;
  /** Serialised origins (`https://app.example.com`) whose pages may call the browser-facing routes. */
  readonly allowedOrigins: readonly string[];
  /** Attributes that a page may set only with a proof that covers them: what it says of them otherwise is kept as unverified. */
  readonly protectedTraits: readonly string[];
  readonly createdAt: Date;
}

/** On whose behalf a request with an API key acts. */
export interface EnvironmentContext {
  readonly environmentId: string;
  readonly workspaceId: string;
  readonly kind: EnvironmentKind;
  readonly apiKeyId: string;
  readonly scopes: readonly Scope[];
}
