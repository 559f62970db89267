import { Module } from '@nestjs/common';
import { Clock } from '#contracts';
import { DatabaseClock } from '#database';
import { ReceiptTokens } from './receipt-tokens.js';

/** Receipts, for whoever hands messages out and for whoever takes engagement in. Needs `TenancyModule`. */
@Module({ providers: [{ provide: Clock, useExisting: DatabaseClock }, ReceiptTokens], exports: [ReceiptTokens] })
export class ReceiptModule {}
