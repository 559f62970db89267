import { BelfryError, type ErrorFacts, type FieldFault } from '#contracts';
import { ATTRIBUTE_DECLARATIONS_MAX, ATTRIBUTES_BYTES_MAX, ATTRIBUTES_MAX, MEMBERSHIPS_MAX } from './subscribers.limits.js';

/** No subscriber of this environment has the external id. */
export class SubscriberNotFoundError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'subscriber_not_found',
    httpStatus: 404,
    disposition: 'dead-letter',
    title: 'The subscriber does not exist',
    hint: 'Check the external id, percent-encoded once in the path, and that the API key belongs to the right environment.',
  };

  constructor() {
    super('No subscriber of this environment has this external id.');
  }
}

/** A text that cannot be an external id. */
export class ExternalIdInvalidError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'external_id_invalid',
    httpStatus: 422,
    disposition: 'dead-letter',
    title: 'The external id is not valid',
    hint: 'Use 1 to 255 bytes of UTF-8 without control characters, percent-encoded once where it stands in a path.',
  };

  constructor(fault: string) {
    super(`The external id ${fault}.`, { faults: [{ pointer: '/external_id', code: 'external_id_invalid', message: fault }] });
  }
}

/** A change of a subscriber with attributes, a locale or a time zone that cannot be kept. */
export class SubscriberInvalidError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'subscriber_invalid',
    httpStatus: 422,
    disposition: 'dead-letter',
    title: 'The subscriber cannot be kept like this',
    hint: 'Correct the places listed in `errors`. Nothing was written.',
  };

  constructor(faults: readonly [FieldFault, ...FieldFault[]]) {
    super(`${faults[0].pointer} ${faults[0].message}.`, { faults });
  }
}

/** The change alone is within the limits, but not together with the attributes that the subscriber has. */
export class AttributesTooManyError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'attributes_too_many',
    httpStatus: 422,
    disposition: 'dead-letter',
    title: 'The subscriber would have too many attributes',
    hint: `A subscriber has at most ${ATTRIBUTES_MAX} attributes of ${ATTRIBUTES_BYTES_MAX} bytes together: set those to null that are not used any more.`,
  };

  constructor() {
    super('Together with the attributes that are there, the subscriber would pass the limits. Nothing was written.');
  }
}

/** The attribute was never declared. It may still be in use: undeclared attributes keep the JSON type they are given. */
export class AttributeNotDeclaredError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'attribute_not_declared',
    httpStatus: 404,
    disposition: 'dead-letter',
    title: 'The attribute is not declared',
    hint: 'Declare it with PUT /v1/attributes/{name}.',
  };

  constructor() {
    super('This environment has no declaration of this attribute.');
  }
}

/** A name that no attribute can have. */
export class AttributeNameInvalidError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'attribute_name_invalid',
    httpStatus: 422,
    disposition: 'dead-letter',
    title: "The attribute's name is not valid",
    hint: 'Use 1 to 100 characters without control characters, percent-encoded once where it stands in a path.',
  };

  constructor(fault: string) {
    super(`The attribute's name ${fault}.`);
  }
}

/** The environment has as many declarations as it may. */
export class AttributeDeclarationsTooManyError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'attribute_declarations_too_many',
    httpStatus: 422,
    disposition: 'dead-letter',
    title: 'The environment has too many declared attributes',
    hint: `An environment has at most ${ATTRIBUTE_DECLARATIONS_MAX} declared attributes. Others can be used without a declaration.`,
  };

  constructor() {
    super(`This environment already has ${ATTRIBUTE_DECLARATIONS_MAX} declared attributes.`);
  }
}

/** No company of this environment has the external id. */
export class CompanyNotFoundError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'company_not_found',
    httpStatus: 404,
    disposition: 'dead-letter',
    title: 'The company does not exist',
    hint: 'Check the external id, percent-encoded once in the path, and that the API key belongs to the right environment.',
  };

  constructor() {
    super('No company of this environment has this external id.');
  }
}

/** The subscriber belongs to as many companies as one may. */
export class MembershipsTooManyError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'memberships_too_many',
    httpStatus: 422,
    disposition: 'dead-letter',
    title: 'The subscriber would have too many companies',
    hint: `A subscriber belongs to at most ${MEMBERSHIPS_MAX} companies. Nothing was written.`,
  };

  constructor() {
    super(`The subscriber already belongs to ${MEMBERSHIPS_MAX} companies.`);
  }
}

/** No import of this environment has the id. */
export class ImportNotFoundError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'import_not_found',
    httpStatus: 404,
    disposition: 'dead-letter',
    title: 'The import does not exist',
    hint: 'Check the id, and that the API key belongs to the right environment.',
  };

  constructor() {
    super('No import of this environment has this id.');
  }
}

/** The file as a whole cannot be imported as asked: no header, an unknown column, not UTF-8. No line was read. */
export class ImportFileInvalidError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'import_file_invalid',
    httpStatus: 422,
    disposition: 'dead-letter',
    title: 'The file cannot be imported like this',
    hint: 'Send CSV in UTF-8 with a header line, and name its columns exactly. Nothing was written.',
  };
}

/** The import stopped on its way: too many lines, too many rejected ones. What it wrote before stays; importing again repeats nothing. */
export class ImportStoppedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'import_stopped',
    httpStatus: 422,
    disposition: 'dead-letter',
    title: 'The import stopped on its way',
    hint: 'Read its rejections, correct the file and import it again: an import is an upsert.',
  };

  constructor(message: string, details: { readonly import_id: string }) {
    super(message, { details });
  }
}

/** Every error class of this context, for docs/errors.md. */
export const SUBSCRIBERS_ERRORS = [
  SubscriberNotFoundError,
  ExternalIdInvalidError,
  SubscriberInvalidError,
  AttributesTooManyError,
  AttributeNotDeclaredError,
  AttributeNameInvalidError,
  AttributeDeclarationsTooManyError,
  CompanyNotFoundError,
  MembershipsTooManyError,
  ImportNotFoundError,
  ImportFileInvalidError,
  ImportStoppedError,
] as const;
