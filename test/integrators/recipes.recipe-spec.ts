import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findLanguageSkipReason, type Language, LANGUAGES, RecipeRunner } from './language.js';
import { readRecipeVectors } from './recipe-vectors.js';

/** The recipes of docs/identity/recipes, each run by its own language and compared with the committed vectors. */

const { public_key: publicKey, secret, vectors, refused } = readRecipeVectors();

const languages: { readonly language: Language; readonly name: string; readonly skipReason: string | undefined }[] = [];
for (const language of LANGUAGES) {
  languages.push({ language, name: language.name, skipReason: await findLanguageSkipReason(language) });
}

for (const { language, name, skipReason } of languages) {
  describe.skipIf(skipReason !== undefined)(`the recipe for ${name}`, () => {
    let directory: string;
    let recipe: RecipeRunner;

    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), `belfry-recipe-${name}-`));
      recipe = new RecipeRunner(language, directory, { BELFRY_PUBLIC_KEY: publicKey, BELFRY_IDENTITY_SECRET: secret });
      await recipe.compile();
    });
    afterAll(() => rm(directory, { recursive: true, force: true }));

    it.each(vectors)('computes $name', async ({ arguments: args, hash }) => {
      expect(await recipe.sign(args)).toBe(`${hash}\n`);
    });

    it.each(refused)('refuses to sign $name', async ({ arguments: args }) => {
      await expect(recipe.sign(args)).rejects.toMatchObject({ code: expect.any(Number), stdout: '' });
    });

    it('refuses to sign without a secret', async () => {
      const without = new RecipeRunner(language, directory, { BELFRY_PUBLIC_KEY: publicKey, BELFRY_IDENTITY_SECRET: '' });
      await expect(without.sign(['plain', 'user-123'])).rejects.toMatchObject({ code: expect.any(Number), stdout: '' });
    });
  });
}
