import { Module } from '@nestjs/common';
import { Clock, SystemClock } from '#contracts';
import { ReceiptTokens } from './receipt-tokens.js';

/** Receipts, for whoever hands messages out and for whoever takes engagement in. Needs `TenancyModule`. */
@Module({ providers: [{ provide: Clock, useClass: SystemClock }, ReceiptTokens], exports: [ReceiptTokens] })
export class ReceiptModule {}
