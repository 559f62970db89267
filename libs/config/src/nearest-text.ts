/** Edits (inserted, deleted or replaced characters) up to which a text counts as a typo of another. */
const TYPO_EDITS_MAX = 4;

/** The candidate that `text` most probably stands for, or `undefined` when none is near. */
export function nearestText(text: string, candidates: readonly string[]): string | undefined {
  let nearest: string | undefined;
  let fewest = TYPO_EDITS_MAX + 1;
  for (const candidate of candidates) {
    const edits = editDistance(text, candidate);
    if (edits < fewest) [nearest, fewest] = [candidate, edits];
  }
  return nearest;
}

/** Levenshtein distance, one row of the matrix at a time. */
function editDistance(left: string, right: string): number {
  let previous = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= right.length; column += 1) {
      const replaced = (previous[column - 1] ?? 0) + (left[row - 1] === right[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[right.length] ?? 0;
}
