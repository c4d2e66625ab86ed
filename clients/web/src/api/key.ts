/** Keys as people have them: alone, or in the link that the service prints. */

/** The key in a fragment such as `#key=sl_…`; `null` where there is none. */
export function keyInFragment(fragment: string): string | null {
  return new URLSearchParams(fragment.replace(/^#/, "")).get("key") || null;
}

/** The key that somebody pasted: the key itself, or the whole link. */
export function keyIn(pasted: string): string {
  const text = pasted.trim();
  const fragment = text.indexOf("#");
  return (fragment >= 0 && keyInFragment(text.slice(fragment))) || text;
}

/** Whether it can be a key at all: `sl_<id>_<secret>`. */
export const looksLikeKey = (text: string) => /^sl_[0-9a-f]+_[\w-]{16,}$/.test(text);
