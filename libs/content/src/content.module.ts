import { Module } from '@nestjs/common';
import { ContentStore } from './content.store.js';

/** Contents for every role: campaigns write them, delivery stages and inboxes read them. */
@Module({ providers: [ContentStore], exports: [ContentStore] })
export class ContentModule {}
