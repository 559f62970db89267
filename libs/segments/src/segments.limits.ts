/** Levels of nested groups in one rule. */
export const RULE_DEPTH_MAX = 8;

/** Groups and conditions of one rule together. */
export const RULE_NODES_MAX = 200;

/** Values of one `in`, `not_in`, `contains_any` or `contains_all`. */
export const RULE_VALUES_MAX = 1_000;

/** Longest text a condition compares with, in characters. */
export const RULE_TEXT_LENGTH_MAX = 1_000;

/** Largest amount of a relative time: a hundred years, so that every instant it leads to is one that Postgres knows. */
export const RULE_RELATIVE_AMOUNTS_MAX = { hours: 876_000, days: 36_500 } as const;

/** Longest name of a segment in characters. */
export const SEGMENT_NAME_LENGTH_MAX = 100;

/** Subscribers shown by a preview. */
export const PREVIEW_SAMPLES_MAX = 5;

/** How long Postgres may count for one preview. */
export const PREVIEW_TIMEOUT_MS = 10_000;
