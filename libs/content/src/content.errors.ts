import { BelfryError, type ErrorFacts, type FieldFault } from '#contracts';

/** A title, body, URL or action is no valid Liquid template; each fault names the field, the line and what is wrong there. */
export class ContentTemplateInvalidError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'content_template_invalid',
    httpStatus: 422,
    disposition: 'dead-letter',
    title: 'The content has a template that cannot be read',
    hint: 'Correct the template at the named line. Variables are written {{ subscriber.name }}; only the tags and filters of the documentation exist.',
  };

  constructor(faults: readonly FieldFault[]) {
    super(faults.map((fault) => `${fault.pointer}: ${fault.message}`).join(' '), { faults });
  }
}

/** A template could not be rendered for one subscriber: an attribute is missing, or the result is empty, too long or an unsafe URL. */
export class ContentRenderError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'content_render_failed',
    httpStatus: 422,
    disposition: 'dead-letter',
    title: 'The content cannot be rendered for this subscriber',
    hint: "Give the subscriber the missing attribute, or a fallback to the template: {{ subscriber.first_name | default: 'there' }}.",
  };

  constructor(fault: FieldFault, cause?: unknown) {
    super(`${fault.pointer}: ${fault.message}`, { cause, faults: [fault] });
  }
}
