/** Where the rows of a grid lie, and which of them exist, for lists longer than a page may be high. */

import { useVirtualizer } from "@tanstack/react-virtual";
import { type MutableRefObject, useEffect, useLayoutEffect, useRef, useState } from "react";

const CARD_WIDTH = 184;
const BELOW_PICTURE = 106;
const GAP = 12;
/** Browsers draw nothing below some ten million pixels: so many rows stay above. */
const MOST_ROWS = 30_000;
const NEAR_THE_EDGE = 20;
/** A browser loads what it was asked for, and keeps it, though the card has long passed. */
const FAST_PIXELS_PER_MS = 4;
/** Pixels that do not yet count as scrolled. */
export const TOP = 40;

/** How far a list is scrolled. */
export interface Position {
  /** Frames before the first row that exists at all. */
  base: number;
  /** Pixels from that row to the top of what is seen; negative while something above it is seen. */
  top: number;
}

interface Row {
  key: number;
  /** Place of its first frame. */
  first: number;
  top: number;
}

interface Props {
  /** Of frames. */
  length: number;
  /** Where it begins; kept up to date. */
  position: MutableRefObject<Position>;
  onAtTop?: (atTop: boolean) => void;
}

/** Rows of equal cells below an element that scrolls with them. */
export function useRows({ length, position, onAtTop }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const above = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(1200);
  const [offset, setOffset] = useState(0);
  const [base, setBase] = useState(position.current.base);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const measure = () => {
      setWidth(element.clientWidth - 2 * GAP);
      setOffset(above.current?.offsetHeight ?? 0);
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    if (above.current) observer.observe(above.current);
    return () => observer.disconnect();
  }, []);

  const columns = Math.max(2, Math.floor((width + GAP) / (CARD_WIDTH + GAP)));
  const cell = (width - (columns - 1) * GAP) / columns;
  const step = cell + BELOW_PICTURE + GAP;
  const all = Math.ceil(length / columns);
  const before = Math.floor(base / columns);
  const count = Math.max(0, Math.min(MOST_ROWS, all - before));
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => step,
    overscan: 4,
    scrollMargin: offset,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: another width makes other rows
  useEffect(() => virtual.measure(), [step]);

  // Rows stay where they are when others begin the list, or what stands above changes its height.
  const isAbove = useRef(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: other columns make another height
  useLayoutEffect(() => {
    const element = scroller.current;
    isAbove.current = offset;
    if (element === null || (position.current.top <= 0 && position.current.base === base)) return;
    const shift = Math.floor(position.current.base / columns) - before;
    position.current = { base, top: position.current.top + shift * step };
    element.scrollTop = position.current.top + offset;
    // Heard at once, before anything is painted.
    element.dispatchEvent(new Event("scroll"));
  }, [offset, columns, base, position]);

  const moved = useRef({ top: 0, at: 0 });
  const isFast = useRef(false);
  const items = virtual.getVirtualItems();
  const from = items[0]?.index ?? 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: looks again as other rows come into sight
  useEffect(() => {
    const half = (MOST_ROWS / 2) * columns;
    // Not of `from`: that is of before the rows began elsewhere.
    const row = position.current.top / step;
    if (row > count - NEAR_THE_EDGE && before + count < all) setBase(base + half);
    else if (row < NEAR_THE_EDGE && base > 0) setBase(Math.max(0, base - half));
  }, [from, count, before, all, base, columns, step, position]);

  /** Whether rows are drawn where the list is scrolled to: they are not until who comes back is there. */
  const isThere = () => {
    const row = Math.min(Math.max(0, Math.floor(position.current.top / step)), count - 1);
    return from <= row && row <= (items.at(-1)?.index ?? -1);
  };

  return {
    scroller,
    above,
    isThere,
    columns,
    cell,
    /** Of a row, without the gap below it. */
    rowHeight: step - GAP,
    height: virtual.getTotalSize(),
    /** Rows pass faster than pictures can be seen. */
    isFast: virtual.isScrolling && isFast.current,
    rows: items.map(
      (item): Row => ({
        key: before + item.index,
        first: (before + item.index) * columns,
        top: item.start - offset,
      }),
    ),
    onScroll: () => {
      const top = scroller.current?.scrollTop ?? 0;
      const now = performance.now();
      const passed = Math.abs(top - moved.current.top);
      isFast.current = passed > FAST_PIXELS_PER_MS * (now - moved.current.at);
      moved.current = { top, at: now };
      position.current = { base, top: top - isAbove.current };
      onAtTop?.(base === 0 && top < TOP);
    },
  };
}
