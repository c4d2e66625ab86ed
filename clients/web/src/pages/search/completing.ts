/** Completing the names of attributes while a query is typed. */

export interface Named {
  id: string;
  name: string;
}

/** Where the word lies that ends at the cursor; null where none does. */
export function wordBefore(text: string, cursor: number): { from: number; word: string } | null {
  const word = /[A-Za-z][\w-]*$/.exec(text.slice(0, cursor))?.[0];
  if (word === undefined || ["and", "or", "not"].includes(word.toLowerCase())) return null;
  return { from: cursor - word.length, word };
}

/** Attributes that a word may become: those that begin with it first, at most eight. */
export function completions<T extends Named>(word: string, attributes: readonly T[]): T[] {
  const wanted = word.toLowerCase();
  const ranked = attributes.map((attribute) => {
    const [id, name] = [attribute.id.toLowerCase(), attribute.name.toLowerCase()];
    const begins = id.startsWith(wanted) || name.startsWith(wanted);
    const rank =
      id === wanted ? 3 : begins ? 0 : id.includes(wanted) || name.includes(wanted) ? 1 : 3;
    return { attribute, rank };
  });
  return ranked
    .filter(({ rank }) => rank < 3)
    .sort((one, other) => one.rank - other.rank)
    .slice(0, 8)
    .map(({ attribute }) => attribute);
}

/** The text with the word before the cursor made an attribute, and where the cursor is then. */
export function complete(
  text: string,
  cursor: number,
  id: string,
): { text: string; cursor: number } {
  const from = wordBefore(text, cursor)?.from ?? cursor;
  const before = `${text.slice(0, from)}${id} `;
  return { text: before + text.slice(cursor).trimStart(), cursor: before.length };
}
