import type { FieldFault } from '#contracts';
import { CONTENT_LIMITS, type Content, type ContentAction, type ContentFields } from './content.js';
import { ContentRenderError, ContentTemplateInvalidError } from './content.errors.js';
import {
  compileTemplate,
  isDynamic,
  isTemplateFault,
  looksLikeTemplate,
  renderTemplate,
  type CompiledTemplate,
  type TemplateFault,
} from './liquid.js';
import { isSafeUrl, URL_CHARACTERS_MAX } from './safe-url.js';

/** What templates may know of a subscriber. */
export interface ContentProfile {
  readonly externalId: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly locale?: string | null;
  readonly timeZone?: string | null;
}

/** The fields that differ between subscribers, rendered for one; the other fields are those of the content. */
export type RenderedContent = Partial<Pick<ContentFields, 'title' | 'body' | 'url' | 'actions'>>;

/** A field that may hold a template. */
interface Slot {
  /** JSON pointer into the content. */
  readonly pointer: string;
  readonly template: string;
  readonly kind: 'filled-text' | 'text' | 'url';
  readonly charactersMax: number;
  readonly assign: (rendered: { actions?: ContentAction[] } & RenderedContent, text: string) => void;
}

interface CompiledSlot extends Slot {
  readonly compiled: CompiledTemplate;
}

/** Compiled once per content object; the store hands out the same object while it is in its cache. */
const compiledSlots = new WeakMap<Content, readonly CompiledSlot[]>();

/**
 * Renders the personalised fields of a content for one subscriber, and only those.
 *
 * @throws ContentRenderError when an attribute is missing, or a result is blank, too long or an unsafe URL
 */
export function renderContent(content: Content, profile: ContentProfile): RenderedContent {
  const slots = slotsOf(content);
  if (slots.length === 0) return {};
  const scope = { subscriber: describeSubscriber(profile) };
  const rendered: RenderedContent = {};
  if (slots.some((slot) => slot.pointer.startsWith('/actions')))
    rendered.actions = content.fields.actions?.map((action) => ({ ...action }));
  for (const slot of slots) slot.assign(rendered, renderSlot(slot, scope));
  return rendered;
}

/**
 * Checks all templates of a content before it is stored.
 *
 * @returns true when the content is personalised
 * @throws ContentTemplateInvalidError naming every field with a broken template
 */
export function checkTemplates(fields: ContentFields): boolean {
  const faults: FieldFault[] = [];
  let personalised = false;
  for (const slot of templateSlots(fields)) {
    const compiled = compileTemplate(slot.template);
    if (isTemplateFault(compiled)) faults.push(toFieldFault(slot.pointer, 'template_invalid', compiled));
    else personalised ||= isDynamic(compiled);
  }
  if (faults.length > 0) throw new ContentTemplateInvalidError(faults);
  return personalised;
}

function slotsOf(content: Content): readonly CompiledSlot[] {
  const known = compiledSlots.get(content);
  if (known !== undefined) return known;
  const slots: CompiledSlot[] = [];
  for (const slot of content.personalised ? templateSlots(content.fields) : []) {
    const compiled = compileTemplate(slot.template);
    if (isTemplateFault(compiled)) throw new ContentTemplateInvalidError([toFieldFault(slot.pointer, 'template_invalid', compiled)]);
    if (isDynamic(compiled)) slots.push({ ...slot, compiled });
  }
  compiledSlots.set(content, slots);
  return slots;
}

function templateSlots(fields: ContentFields): Slot[] {
  const { titleCharactersMax, bodyCharactersMax, actionTitleCharactersMax } = CONTENT_LIMITS;
  const slots: (Slot | undefined)[] = [
    toSlot(
      { pointer: '/title', kind: 'filled-text', charactersMax: titleCharactersMax, assign: (into, text) => (into.title = text) },
      fields.title,
    ),
    toSlot({ pointer: '/body', kind: 'text', charactersMax: bodyCharactersMax, assign: (into, text) => (into.body = text) }, fields.body),
    toSlot({ pointer: '/url', kind: 'url', charactersMax: URL_CHARACTERS_MAX, assign: (into, text) => (into.url = text) }, fields.url),
  ];
  for (const [index, action] of (fields.actions ?? []).entries()) {
    const assign =
      (key: 'title' | 'url'): Slot['assign'] =>
      (into, text) => {
        const target = into.actions?.[index];
        if (target !== undefined) target[key] = text;
      };
    slots.push(
      toSlot(
        { pointer: `/actions/${index}/title`, kind: 'filled-text', charactersMax: actionTitleCharactersMax, assign: assign('title') },
        action.title,
      ),
      toSlot({ pointer: `/actions/${index}/url`, kind: 'url', charactersMax: URL_CHARACTERS_MAX, assign: assign('url') }, action.url),
    );
  }
  return slots.filter((candidate) => candidate !== undefined);
}

function toSlot(facts: Omit<Slot, 'template'>, template: string | undefined): Slot | undefined {
  return template !== undefined && looksLikeTemplate(template) ? { ...facts, template } : undefined;
}

/** Attributes are found both as `subscriber.name` and as `subscriber.attributes.name`; Belfry's own names win over attributes. */
function describeSubscriber(profile: ContentProfile): Record<string, unknown> {
  const subscriber: Record<string, unknown> = { ...profile.attributes, attributes: profile.attributes, external_id: profile.externalId };
  if (typeof profile.locale === 'string') subscriber['locale'] = profile.locale;
  if (typeof profile.timeZone === 'string') subscriber['time_zone'] = profile.timeZone;
  return subscriber;
}

function renderSlot(slot: CompiledSlot, scope: object): string {
  const result = renderTemplate(slot.compiled, scope);
  if (typeof result !== 'string') throw new ContentRenderError(toFieldFault(slot.pointer, 'template_failed', result));
  const text = slot.kind === 'url' ? result.trim() : result;
  const problem = findProblem(slot, text);
  if (problem !== undefined) throw new ContentRenderError({ pointer: slot.pointer, ...problem });
  return text;
}

function findProblem(slot: Slot, text: string): Omit<FieldFault, 'pointer'> | undefined {
  if (text.length > slot.charactersMax) {
    return { code: 'rendered_too_long', message: `renders to ${text.length} characters, at most ${slot.charactersMax} are allowed.` };
  }
  if (slot.kind === 'filled-text' && text.trim() === '') return { code: 'rendered_blank', message: 'renders to blank text.' };
  if (slot.kind === 'url' && !isSafeUrl(text)) return { code: 'rendered_url_unsafe', message: 'renders to something that is no safe URL.' };
  return undefined;
}

function toFieldFault(pointer: string, code: string, fault: TemplateFault): FieldFault {
  return { pointer, code, message: `line ${fault.line}, column ${fault.column}: ${fault.reason}.` };
}
