import { readFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { TOPICS } from '#contracts';

/** House rules that linters do not know (after TigerBeetle's tidy): each names the files that break it. */

const FILE_LINES_MAX = 400;
const SPEC_LINES_MAX = 700;
const CONTEXTS_WITH_STORES = /^libs\/(?!database|event-log|testing|contracts|config|telemetry)[^/]+\/src\//;
const SQL_STATEMENT = /\b(SELECT\s+[\s\S]+?\s+FROM|INSERT\s+INTO|UPDATE\s+[\w.]+\s+(AS\s+\w+\s+)?SET|DELETE\s+FROM)\b/;

const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { encoding: 'utf8' })
  .split('\n')
  .filter(Boolean);
const sources = files.filter((file) => /^(apps|libs|test)\/.*\.ts$/.test(file) || /^scripts\/.*\.mjs$/.test(file)).filter(exists);
const read = (file: string): string => readFileSync(file, 'utf8');
const isSpec = (file: string): boolean => /spec\.ts$|\/(conformance|testing)\/|^test\//.test(file);

function exists(file: string): boolean {
  try {
    return readFileSync(file).length >= 0;
  } catch {
    return false;
  }
}

describe('tidy', () => {
  it('keeps source files short', () => {
    const tooLong = sources
      .map((file) => ({ file, lines: read(file).split('\n').length }))
      .filter(({ file, lines }) => lines > (isSpec(file) ? SPEC_LINES_MAX : FILE_LINES_MAX));
    expect(tooLong).toEqual([]);
  });

  it('gives every topic a contract file, a consumer and a well-formed name', () => {
    const contracts = new Map(
      sources
        .filter((file) => file.startsWith('libs/contracts/src/topics/'))
        .flatMap((file) =>
          [...read(file).matchAll(/export const (\w+) = defineTopic<\w+>\(\{\s*topic: '([^']+)'/g)].map((match) => [match[2], match[1]]),
        ),
    );
    const consumers = sources
      .filter((file) => file.endsWith('.consumer.ts'))
      .map(read)
      .join('\n');
    for (const { topic } of TOPICS) {
      expect(topic).toMatch(/^[a-z]+(\.[a-z]+){1,3}\.v\d+$/);
      const contract = contracts.get(topic);
      expect(contract, `contract of ${topic}`).toBeDefined();
      expect(consumers, `consumer of ${topic}`).toContain(`@ConsumeBatch(${contract}`);
    }
    expect([...contracts.keys()].sort(), 'contracts that TOPICS does not list').toEqual(TOPICS.map(({ topic }) => topic).sort());
  });

  it('lets the browser client name the version of the package', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string };
    expect(read('libs/web-sdk/src/client/sdk.ts')).toContain(`'belfry-web/${version}'`);
  });

  it('keeps SQL in stores', () => {
    const offenders = sources.filter(
      (file) =>
        CONTEXTS_WITH_STORES.test(file) && !isSpec(file) && !file.endsWith('.store.ts') && SQL_STATEMENT.test(withoutComments(read(file))),
    );
    expect(offenders).toEqual([]);
  });

  it('scopes every statement of a store by environment, or says why it spans them', () => {
    const offenders = sources
      .filter((file) => CONTEXTS_WITH_STORES.test(file) && file.endsWith('.store.ts'))
      .flatMap((file) =>
        templateLiterals(withoutComments(read(file)))
          .filter((text) => SQL_STATEMENT.test(text) && !/environment_id|tenancy\.environment|-- every environment:/.test(text))
          .map((text) => `${file}: ${text.trim().slice(0, 80)}`),
      );
    expect(offenders).toEqual([]);
  });

  it('reads process.env only in libs/config', () => {
    const offenders = sources.filter(
      (file) =>
        /^(apps|libs)\//.test(file) &&
        !/^libs\/(config|testing)\//.test(file) &&
        !isSpec(file) &&
        !file.includes('/testing/') &&
        /process\.env/.test(withoutComments(read(file))),
    );
    expect(offenders).toEqual([]);
  });

  it('declares errors in *.errors.ts', () => {
    const offenders = sources.filter(
      (file) => file.startsWith('libs/') && !isSpec(file) && !file.endsWith('.errors.ts') && /extends BelfryError/.test(read(file)),
    );
    expect(offenders).toEqual([]);
  });

  it('pins every dependency exactly', () => {
    const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string>>;
    const versions = Object.entries({ ...manifest['dependencies'], ...manifest['devDependencies'] });
    expect(versions.filter(([, version]) => !/^(npm:[\w-]+@)?\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([]);
  });

  it('leaves nothing open and names no host of a registry', () => {
    const offenders = files
      .filter((file) => /\.(ts|mjs|cjs|json|yml|yaml|md|sh)$|^\.ci\//.test(file) && file !== 'test/tidy.spec.ts' && exists(file))
      .filter((file) => /\bTODO\b|\bFIXME\b|registry\.npmjs|repo1?\.maven|deb\.debian/.test(read(file)));
    expect(offenders).toEqual([]);
  });
});

function withoutComments(text: string): string {
  return text.replace(/^\s*\/\*[\s\S]*?\*\//gm, '').replace(/^\s*\/\/.*$/gm, '');
}

/** The template literals of a source; good enough for stores, which nest none with SQL inside. */
function templateLiterals(text: string): string[] {
  return [...text.matchAll(/`((?:[^`\\]|\\.)*)`/g)].map((match) => match[1] ?? '');
}
