/** Protected traits of one environment. */
export const PROTECTED_TRAITS_MAX = 100;

/** Longest name of a protected trait, in UTF-16 units: as long as the name of an attribute may be. */
export const PROTECTED_TRAIT_LENGTH_MAX = 200;
