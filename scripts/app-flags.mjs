/** Apps that hold no more than the batches they work on. */
const CONSUMERS = ['segmenter', 'push-delivery', 'inbox-delivery'];

/**
 * V8 lets a heap grow to several times what lives in it where memory is plentiful. With this bound a consumer that renders personal content
 * takes 230 MB instead of 390, for the same CPU. A gateway with thousands of streams takes what it needs.
 */
const CONSUMER_HEAP_MB_MAX = 768;

/**
 * Flags of node for an app of ours. What the user sets by NODE_OPTIONS comes first.
 * @param {string} app folder below `apps/`
 * @returns {string[]}
 */
export function appFlags(app) {
  const isOwn = (process.env.NODE_OPTIONS ?? '').includes('max-old-space-size');
  return CONSUMERS.includes(app) && !isOwn ? [`--max-old-space-size=${CONSUMER_HEAP_MB_MAX}`] : [];
}
