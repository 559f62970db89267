/** Dead letters as people see them: lists, one with its record, replay and discard, over HTTP and on the command line. */
export * from './dead-letter.resource.js';
export * from './dead-letters.errors.js';
export * from './dead-letters.module.js';
export * from './public-ids.js';
export * from './read-dead-letters/read-dead-letters.js';
export * from './settle-dead-letter/settle-dead-letter.js';
