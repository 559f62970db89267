/** Type of the message by which a page asks the worker to hand over the receipts that wait. */
export const FLUSH_RECEIPTS = 'belfry:flush';
