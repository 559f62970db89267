import { Liquid, LiquidError, TokenKind, type Template } from 'liquidjs';

/** A parsed template; renders any number of times. */
export type CompiledTemplate = readonly Template[];

/** Why a template cannot be used, and where (both 1-based). */
export interface TemplateFault {
  readonly line: number;
  readonly column: number;
  readonly reason: string;
}

/**
 * The tags that exist. None reads files or other templates, and none repeats: the work of a rendering is bounded by the length of
 * its template.
 */
export const TEMPLATE_TAGS: ReadonlySet<string> = new Set(['assign', 'capture', 'case', 'comment', 'if', 'raw', 'unless', '#']);

/** The filters that exist: text, numbers, lists and dates; none evaluates an expression, decodes or encrypts. */
export const TEMPLATE_FILTERS: ReadonlySet<string> = new Set(
  [
    'abs at_least at_most ceil divided_by floor minus modulo plus round times',
    'append capitalize downcase lstrip prepend remove remove_first replace replace_first rstrip',
    'slice split squish strip strip_newlines truncate truncatewords upcase url_encode',
    'compact first join last reverse size sort sort_natural uniq array_to_sentence_string',
    'date default json',
  ].flatMap((names) => names.split(' ')),
);

/** The one root variable. */
export const TEMPLATE_ROOT = 'subscriber';

const TEMPLATE_CHARACTERS_MAX = 20_000;
/** Wall clock, so wide enough that a pause of the process fails nobody; without loops the work itself is bounded by the length. */
const RENDER_MS_MAX = 5_000;
/** Characters and list items that one rendering may create. */
const RENDER_ALLOCATIONS_MAX = 200_000;
/** What each template has and plain text has not. */
export const LIQUID_MARK = /\{\{|\{%/;

const engine = createEngine();

/** True when the text may hold Liquid; everything else is plain text and is never parsed. */
export function looksLikeTemplate(text: string): boolean {
  return LIQUID_MARK.test(text);
}

/** Parses a template, or says why not. Unknown tags, filters and root variables are faults already here. */
export function compileTemplate(text: string): CompiledTemplate | TemplateFault {
  try {
    const template = engine.parse(text);
    return findUnknownVariable(template) ?? template;
  } catch (error) {
    return describeLiquidError(error);
  }
}

/** True when the result of `compileTemplate` is a fault. */
export function isTemplateFault(result: CompiledTemplate | TemplateFault): result is TemplateFault {
  return !Array.isArray(result);
}

/** True when rendering can give anything else than the template's own text. */
export function isDynamic(template: CompiledTemplate): boolean {
  return template.some((node) => node.token.kind !== TokenKind.HTML);
}

/** Renders a template; the result is storable text, or a fault such as a missing variable. */
export function renderTemplate(template: CompiledTemplate, scope: object): string | TemplateFault {
  try {
    return replaceUnstorable(String(engine.renderSync(template as Template[], scope)));
  } catch (error) {
    return describeLiquidError(error);
  }
}

function createEngine(): Liquid {
  const liquid = new Liquid({
    strictVariables: true,
    lenientIf: true,
    strictFilters: true,
    ownPropertyOnly: true,
    parseLimit: TEMPLATE_CHARACTERS_MAX,
    renderLimit: RENDER_MS_MAX,
    memoryLimit: RENDER_ALLOCATIONS_MAX,
    timezoneOffset: 'UTC',
    locale: 'en-US',
    templates: {},
  });
  for (const tag of Object.keys(liquid.tags)) if (!TEMPLATE_TAGS.has(tag)) delete liquid.tags[tag];
  for (const filter of Object.keys(liquid.filters)) if (!TEMPLATE_FILTERS.has(filter)) liquid.unregisterFilter(filter);
  return liquid;
}

function findUnknownVariable(template: Template[]): TemplateFault | undefined {
  const globals = engine.analyzeSync(template, { partials: false }).globals;
  for (const [name, uses] of Object.entries(globals)) {
    if (name === TEMPLATE_ROOT) continue;
    const place = uses[0]?.location;
    return {
      line: place?.row ?? 1,
      column: place?.col ?? 1,
      reason: `unknown variable "${name}", variables start with "${TEMPLATE_ROOT}."`,
    };
  }
  return undefined;
}

function describeLiquidError(error: unknown): TemplateFault {
  if (!LiquidError.is(error)) throw error;
  const [line, column] = error.token.getPosition();
  return { line: line ?? 1, column: column ?? 1, reason: error.originalError?.message ?? withoutPosition(error.message) };
}

/** Liquid appends `, line:1, col:4` to its messages. */
function withoutPosition(message: string): string {
  return message.replace(/, line:\d+, col:\d+$/, '');
}

/** Half surrogate pairs (a `split` through an emoji) and NUL cannot be stored by Postgres; they become the replacement character. */
function replaceUnstorable(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\p{Surrogate}\u0000]/gu, '\uFFFD');
}
