import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { RECIPES_DIRECTORY } from './recipe-vectors.js';

const run = promisify(execFile);

/** Longest compilation or run of one recipe; Go compiles its standard library at the first time. */
const RUN_MS_MAX = 240_000;

/** How one recipe is run. */
export interface Language {
  /** `BELFRY_REQUIRE=recipe-<name>` makes its absence a failure. */
  readonly name: string;
  readonly file: string;
  /** Tells whether the language is there. */
  readonly probe: readonly [string, ...string[]];
  /** Compiles into a directory, where the language does so. */
  readonly compile?: (file: string, directory: string) => readonly [string, ...string[]];
  /** The command line before the arguments of the recipe. */
  readonly command: (file: string, directory: string) => readonly [string, ...string[]];
}

/** Every language that has a recipe. */
export const LANGUAGES: readonly Language[] = [
  { name: 'node', file: 'sign.mjs', probe: [process.execPath, '--version'], command: (file) => [process.execPath, file] },
  { name: 'python', file: 'sign.py', probe: ['python3', '--version'], command: (file) => ['python3', file] },
  {
    name: 'go',
    file: 'sign.go',
    probe: ['go', 'version'],
    compile: (file, directory) => ['go', 'build', '-o', join(directory, 'sign'), file],
    command: (_, directory) => [join(directory, 'sign')],
  },
  { name: 'php', file: 'sign.php', probe: ['php', '--version'], command: (file) => ['php', file] },
  { name: 'ruby', file: 'sign.rb', probe: ['ruby', '--version'], command: (file) => ['ruby', file] },
  {
    name: 'java',
    file: 'Sign.java',
    probe: ['javac', '-version'],
    compile: (file, directory) => ['javac', '-encoding', 'UTF-8', '-d', directory, file],
    command: (_, directory) => ['java', '-Xshare:auto', '-XX:TieredStopAtLevel=1', '-cp', directory, 'Sign'],
  },
  { name: 'elixir', file: 'sign.exs', probe: ['elixir', '--version'], command: (file) => ['elixir', file] },
];

/**
 * Why the recipe of a language cannot be run here; `undefined` where it can.
 * @throws Error instead when BELFRY_REQUIRE names the recipe, or all of them
 */
export async function findLanguageSkipReason({ name, probe: [program, ...args] }: Language): Promise<string | undefined> {
  try {
    await run(program, args, { timeout: RUN_MS_MAX });
    return undefined;
  } catch (error) {
    const reason = `${program} does not run here: ${(error as Error).message.split('\n')[0]}`;
    const required = (process.env['BELFRY_REQUIRE'] ?? '').split(',').map((part) => part.trim());
    if (required.includes('recipes') || required.includes(`recipe-${name}`)) throw new Error(reason, { cause: error });
    process.stderr.write(`\nTHE RECIPE FOR ${name.toUpperCase()} IS SKIPPED: ${reason}\n\n`);
    return reason;
  }
}

/** Runs the recipes of one language. */
export class RecipeRunner {
  readonly #file: string;

  /** @param directory for what is compiled; the caller removes it */
  constructor(
    private readonly language: Language,
    private readonly directory: string,
    private readonly settings: Readonly<Record<string, string>>,
  ) {
    this.#file = join(RECIPES_DIRECTORY, language.file);
  }

  async compile(): Promise<void> {
    const command = this.language.compile?.(this.#file, this.directory);
    if (command !== undefined) await this.#run(command);
  }

  /** What the recipe prints. @throws Error when it ends with another code than 0 */
  sign(args: readonly string[]): Promise<string> {
    const [program, ...before] = this.language.command(this.#file, this.directory);
    return this.#run([program, ...before, ...args]);
  }

  async #run([program, ...args]: readonly [string, ...string[]]): Promise<string> {
    // The locale tells Java, Ruby and Elixir that arguments are UTF-8; Go is to build this one file, and to ask no network.
    const env = { ...process.env, LC_ALL: 'C.UTF-8', GO111MODULE: 'off', GOTOOLCHAIN: 'local', GOFLAGS: '', ...this.settings };
    return (await run(program, args, { cwd: this.directory, env, timeout: RUN_MS_MAX })).stdout;
  }
}
