/** Values of tokens, for what is drawn outside CSS. */

import { useEffect, useState } from "react";

function colorOf(token: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(token).trim();
}

/** A colour by its token, also after the theme changed. */
export function useToken(token: string): string {
  const [value, setValue] = useState(() => colorOf(token));
  useEffect(() => {
    const watcher = new MutationObserver(() => setValue(colorOf(token)));
    watcher.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => watcher.disconnect();
  }, [token]);
  return value;
}
