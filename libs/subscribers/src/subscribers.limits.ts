/** Longest external id in UTF-8 bytes. */
export const EXTERNAL_ID_BYTES_MAX = 255;

/** Attributes of one subscriber, after merging. */
export const ATTRIBUTES_MAX = 200;

/** Longest attribute name in characters (code points). */
export const ATTRIBUTE_NAME_LENGTH_MAX = 100;

/** Longest text value, and longest item of a list, in UTF-8 bytes. */
export const ATTRIBUTE_TEXT_BYTES_MAX = 4_096;

/** Items of one list value. */
export const ATTRIBUTE_LIST_ITEMS_MAX = 100;

/** All attributes of one subscriber in bytes, after merging: as JSON in UTF-8 where they are given, as jsonb where they are kept. */
export const ATTRIBUTES_BYTES_MAX = 65_536;

/** Attributes of one subscriber or company that no proof covers, after merging: anybody can make a page say them. */
export const UNVERIFIED_ATTRIBUTES_MAX = 50;

/** All unverified attributes of one subscriber or company in bytes, with their provenance. */
export const UNVERIFIED_ATTRIBUTES_BYTES_MAX = 16_384;

/** Companies of one subscriber. */
export const MEMBERSHIPS_MAX = 100;

/** Declared attributes of one environment. */
export const ATTRIBUTE_DECLARATIONS_MAX = 500;

/** Subscribers of one upsert statement. */
export const UPSERT_BATCH_MAX = 1_000;

/** Lines of one bulk request. */
export const BULK_LINES_MAX = 10_000;

/** One line of a bulk request, in bytes. */
export const BULK_LINE_BYTES_MAX = 131_072;

/** The whole body of a bulk request, in bytes. */
export const BULK_BODY_BYTES_MAX = 67_108_864;

/** One record of a CSV file, in bytes: also how far an unclosed quote is followed. */
export const IMPORT_RECORD_BYTES_MAX = 262_144;

/** Columns of a CSV file. */
export const IMPORT_COLUMNS_MAX = ATTRIBUTES_MAX + 10;

/** A CSV file sent over HTTP, in bytes; larger ones go through the CLI. */
export const IMPORT_BODY_BYTES_MAX = 1_073_741_824;

/** Lines of one CSV file. Its ids are remembered in 24 to 48 bytes each to find duplicates. */
export const IMPORT_LINES_MAX = 5_000_000;

/** Rejected lines of one import, all of which are kept. Beyond it the file as a whole is wrong, and the import fails. */
export const IMPORT_REJECTIONS_MAX = 100_000;

/** An import that reported no progress for so long was interrupted: its process is gone. */
export const IMPORT_SILENCE_SECONDS_MAX = 300;

/** From so many written rows on, the planner's statistics are refreshed at the end of an import. */
export const IMPORT_ANALYZE_ROWS_MIN = 5_000;
