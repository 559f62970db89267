/** The message that a device gets, as a receipt names it. */
export interface ReceiptSubject {
  readonly environmentId: string;
  readonly messageKey: string;
  readonly subscriberId: string;
  readonly channel: 'push';
  readonly expiresAt: Date;
}

/**
 * Makes the signed receipts with which service workers report what became of a message. Declared here, by its consumer; an app that
 * provides none sends messages without receipts. The abstract class is the injection token.
 */
export abstract class DeliveryReceipts {
  /** A receipt of at most some 200 characters, base64url. */
  abstract issue(subject: ReceiptSubject): string;
}
