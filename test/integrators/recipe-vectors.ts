import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Where the recipes and their vectors are. */
export const RECIPES_DIRECTORY = fileURLToPath(new URL('../../docs/identity/recipes/', import.meta.url));

/** A proof that every recipe has to compute. */
export interface RecipeVector {
  readonly name: string;
  /** Form, id and whatever the form needs, as on the command line. */
  readonly arguments: readonly [string, string, ...string[]];
  /** What is signed. */
  readonly text: string;
  /** The JSON of the traits, where their digest is signed. */
  readonly canonical?: string;
  /** Hex, or base64 for the form of that name. */
  readonly hash: string;
}

/** The committed vectors of docs/identity/recipes. */
export interface RecipeVectors {
  readonly public_key: string;
  readonly secret: string;
  readonly seconds: number;
  readonly vectors: readonly RecipeVector[];
  /** What no recipe may sign. */
  readonly refused: readonly { readonly name: string; readonly arguments: readonly string[] }[];
}

/** Reads the vectors. */
export function readRecipeVectors(): RecipeVectors {
  return JSON.parse(readFileSync(`${RECIPES_DIRECTORY}vectors.json`, 'utf8')) as RecipeVectors;
}
