/** Shortcuts of single keys. */

import { useEffect, useRef } from "react";

const TYPED_INTO = "input:not([type=checkbox], [type=radio], [type=range]), textarea, select";

/** Whether a key press means a shortcut: not while one types, nor in a dialog, nor with Ctrl. */
export function isShortcut(event: KeyboardEvent): boolean {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return false;
  const target = event.target instanceof Element ? event.target : null;
  if (target?.closest(`${TYPED_INTO}, [contenteditable], dialog`)) return false;
  // Enter does what the control does that has the focus.
  return !(event.key === "Enter" && target?.closest("button, a, summary, [role=button]"));
}

/** Hear shortcuts while mounted; `onKey` tells whether the key meant something to it. */
export function useKeys(onKey: (key: string) => boolean) {
  const current = useRef(onKey);
  current.current = onKey;
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (isShortcut(event) && current.current(event.key)) event.preventDefault();
    };
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, []);
}
