import { Module } from '@nestjs/common';
import { ReadDeadLettersController } from './read-dead-letters/read-dead-letters.controller.js';
import { ReadDeadLetters } from './read-dead-letters/read-dead-letters.js';
import { SettleDeadLetterController } from './settle-dead-letter/settle-dead-letter.controller.js';
import { SettleDeadLetter } from './settle-dead-letter/settle-dead-letter.js';

/** The use-cases alone, for the command line. Needs `DeadLetterStore`. */
@Module({ providers: [ReadDeadLetters, SettleDeadLetter], exports: [ReadDeadLetters, SettleDeadLetter] })
export class DeadLettersModule {}

/** The routes under /v1/dead-letters, for the gateway. */
@Module({ imports: [DeadLettersModule], controllers: [ReadDeadLettersController, SettleDeadLetterController] })
export class DeadLettersApiModule {}
