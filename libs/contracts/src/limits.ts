/** Subscribers in one chunk at planning time: the unit of fan-out, retry, pause and progress. */
export const CHUNK_SUBSCRIBERS_MAX = 1_000;

/** Chunks of one run: bounds a run at 100 million recipients. */
export const CHUNK_COUNT_MAX = 100_000;

/** Recipients of one delivery request; larger than a chunk because nobody is left out who joined a chunk's range after planning. */
export const BATCH_RECIPIENTS_MAX = 5_000;
