import { describe, expect, it } from 'vitest';
import type { Content, ContentFields } from './content.js';
import { ContentRenderError, ContentTemplateInvalidError } from './content.errors.js';
import { checkTemplates, renderContent, type ContentProfile } from './render-content.js';

const ADA: ContentProfile = {
  externalId: 'ada',
  attributes: {
    first_name: 'Ada',
    spend: 12.5,
    tags: ['a', 'b'],
    'Total Charges': 7,
    blank: '',
    empty: null,
    template: '{{ subscriber.spend }}',
  },
  locale: 'en-GB',
  timeZone: 'Europe/London',
};

function content(fields: ContentFields): Content {
  return { id: '0199d5c0-0000-7000-8000-000000000001', fields, personalised: checkTemplates(fields) };
}

function titleOf(template: string, profile = ADA): string | undefined {
  return renderContent(content({ title: template }), profile).title;
}

function refusalOf(work: () => unknown): ContentRenderError | ContentTemplateInvalidError {
  try {
    work();
  } catch (error) {
    if (error instanceof ContentRenderError || error instanceof ContentTemplateInvalidError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('checkTemplates', () => {
  it('calls a content personalised when a field has a template, and only then', () => {
    expect(checkTemplates({ title: 'Hello', url: '/x', actions: [{ id: 'a', title: 'A' }] })).toBe(false);
    expect(checkTemplates({ title: 'Price {5} % { {' })).toBe(false);
    expect(checkTemplates({ title: 'Hello {{ subscriber.first_name }}' })).toBe(true);
    expect(checkTemplates({ title: 'Hello', actions: [{ id: 'a', title: '{{ subscriber.a }}' }] })).toBe(true);
  });

  it('names field, line, column and reason of every broken template at once', () => {
    const error = refusalOf(() => checkTemplates({ title: '{{ subscriber.a', body: 'fine\nnot {% fine %}', url: '/{{ user.id }}' }));
    expect(error).toBeInstanceOf(ContentTemplateInvalidError);
    expect(error.facts.httpStatus).toBe(422);
    expect(error.faults.map((fault) => fault.pointer)).toEqual(['/title', '/body', '/url']);
    expect(error.faults[1]?.message).toBe('line 2, column 5: tag "fine" not found.');
    expect(error.faults[2]?.message).toContain('unknown variable "user"');
  });

  it.each([
    '{% include "x" %}',
    '{% render "x" %}',
    '{% layout "x" %}',
    '{% for i in (1..9) %}x{% endfor %}',
    '{% tablerow i in subscriber.tags %}x{% endtablerow %}',
  ])('refuses the tag in %s', (title) => expect(refusalOf(() => checkTemplates({ title }))).toBeInstanceOf(ContentTemplateInvalidError));

  it.each(['{{ subscriber.a | nope }}', '{{ subscriber.tags | where_exp: "x", "x" }}', '{{ "a" | sha256 }}', '{{ "%00" | url_decode }}'])(
    'refuses the filter in %s',
    (title) => expect(refusalOf(() => checkTemplates({ title }))).toBeInstanceOf(ContentTemplateInvalidError),
  );
});

describe('renderContent', () => {
  it('renders attributes and the names of Belfry', () => {
    expect(titleOf('{{ subscriber.first_name }} {{ subscriber.attributes.spend }} {{ subscriber["Total Charges"] }}')).toBe('Ada 12.5 7');
    expect(titleOf('{{ subscriber.external_id }} {{ subscriber.locale }} {{ subscriber.time_zone }}')).toBe('ada en-GB Europe/London');
    expect(titleOf('{{ subscriber.tags | join: ", " }}')).toBe('a, b');
  });

  it('lets the names of Belfry win over attributes of the same name', () => {
    expect(titleOf('{{ subscriber.external_id }}', { externalId: 'real', attributes: { external_id: 'forged' } })).toBe('real');
  });

  it('gives only the personalised fields', () => {
    const mixed = content({ title: 'Hi {{ subscriber.first_name }}', body: 'same for all', url: '/x', actions: [{ id: 'a', title: 'A' }] });
    expect(renderContent(mixed, ADA)).toEqual({ title: 'Hi Ada' });
    expect(renderContent(content({ title: 'Hi' }), ADA)).toEqual({});
  });

  it('gives all actions when one of them is personalised, and leaves the content as it was', () => {
    const actions = [
      { id: 'a', title: 'A', url: '/{{ subscriber.external_id }}' },
      { id: 'b', title: 'B' },
    ];
    const personal = content({ title: 'Hi', actions });
    expect(renderContent(personal, ADA)).toEqual({
      actions: [
        { id: 'a', title: 'A', url: '/ada' },
        { id: 'b', title: 'B' },
      ],
    });
    expect(personal.fields.actions?.[0]?.url).toBe('/{{ subscriber.external_id }}');
  });

  it('fails on a missing attribute, unless a default or a condition catches it', () => {
    expect(refusalOf(() => titleOf('Hi {{ subscriber.nickname }}')).faults[0]).toMatchObject({
      pointer: '/title',
      code: 'template_failed',
      message: expect.stringContaining('subscriber.nickname') as string,
    });
    expect(titleOf("Hi {{ subscriber.nickname | default: 'you' }}")).toBe('Hi you');
    expect(titleOf("Hi {{ subscriber.address.city | default: 'you' }}")).toBe('Hi you');
    expect(titleOf('{% if subscriber.nickname %}x{% else %}y{% endif %}')).toBe('y');
    expect(titleOf("Hi {{ subscriber.empty | default: 'you' }}")).toBe('Hi you');
  });

  it('sees no inherited property', () => {
    for (const name of ['constructor', '__proto__', 'toString', 'attributes.constructor']) {
      expect(refusalOf(() => titleOf(`{{ subscriber.${name} }}`))).toBeInstanceOf(ContentRenderError);
    }
  });

  it('never renders what an attribute says as a template', () => {
    expect(titleOf('{{ subscriber.template }}')).toBe('{{ subscriber.spend }}');
  });

  it('refuses a URL that an attribute made unsafe', () => {
    const page = content({ title: 'x', url: '{{ subscriber.page }}' });
    const render = (value: string) => renderContent(page, { externalId: 'a', attributes: { page: value } });
    expect(render('https://example.com/x').url).toBe('https://example.com/x');
    for (const value of ['javascript:alert(1)', '//evil.example', 'http://example.com', '']) {
      expect(refusalOf(() => render(value)).faults[0]?.code).toBe('rendered_url_unsafe');
    }
  });

  it('refuses blank titles and texts over the limit', () => {
    expect(refusalOf(() => titleOf('{{ subscriber.blank }}')).faults[0]?.code).toBe('rendered_blank');
    const long: ContentProfile = { externalId: 'a', attributes: { first_name: 'x'.repeat(501) } };
    expect(refusalOf(() => titleOf('{{ subscriber.first_name }}', long)).faults[0]?.code).toBe('rendered_too_long');
  });

  it('gives text that can be stored even where a filter cuts a surrogate pair', () => {
    expect(titleOf("{{ subscriber.face | split: '' | first }}", { externalId: 'a', attributes: { face: '\u{1F600}' } })).toBe('\uFFFD');
  });

  it('bounds the memory of a rendering', () => {
    const blowUp = `{% assign x = 'aaaaaaaaaa' %}${"{% assign x = x | replace: 'a', x %}".repeat(4)}{{ x }}`;
    expect(refusalOf(() => titleOf(blowUp)).faults[0]?.message).toContain('memory');
  });
});
