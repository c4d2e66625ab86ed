/** Frames as a grid of cards that holds any number of them: only rows in sight exist. */

import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useEffect, useRef, useState } from "react";
import type { Schemas } from "../api/client";
import { FrameCard } from "./FrameCard";
import styles from "./FrameGrid.module.css";

const CARD_WIDTH = 184;
const BELOW_PICTURE = 106;
const GAP = 12;

interface Props {
  frames: readonly Schemas["FrameSummary"][];
  /** There are more: `onMore` is called as the end comes into sight. */
  hasMore?: boolean;
  onMore?: () => void;
  /** Query string that goes to a frame's page with the link. */
  search?: string;
  /** Whether the first row is in sight. */
  onAtTop?: (atTop: boolean) => void;
  /** Above the first row, scrolled away with it. */
  children?: ReactNode;
}

/** Scrolls by itself; fills its parent. */
export function FrameGrid(props: Props) {
  const { frames, hasMore, onMore } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const above = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(1200);
  const [offset, setOffset] = useState(0);

  useEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => {
      setWidth(element.clientWidth - 2 * GAP);
      setOffset(above.current?.offsetHeight ?? 0);
    });
    observer.observe(element);
    if (above.current) observer.observe(above.current);
    return () => observer.disconnect();
  }, []);

  const columns = Math.max(2, Math.floor((width + GAP) / (CARD_WIDTH + GAP)));
  const cell = (width - (columns - 1) * GAP) / columns;
  const rows = useVirtualizer({
    count: Math.ceil(frames.length / columns),
    getScrollElement: () => scroller.current,
    estimateSize: () => cell + BELOW_PICTURE + GAP,
    overscan: 2,
    scrollMargin: offset,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: another width makes other rows
  useEffect(() => rows.measure(), [cell]);

  const items = rows.getVirtualItems();
  const end = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (hasMore && end >= Math.ceil(frames.length / columns) - 3) onMore?.();
  }, [end, frames.length, columns, hasMore, onMore]);

  return (
    <div
      className={styles.scroller}
      ref={scroller}
      onScroll={(event) => props.onAtTop?.(event.currentTarget.scrollTop < 40)}
      data-testid="frame-grid"
    >
      <div ref={above}>{props.children}</div>
      <div className={styles.rows} style={{ height: rows.getTotalSize() }}>
        {items.map((row) => (
          <div
            key={row.key}
            className={styles.row}
            style={{
              transform: `translateY(${row.start - offset}px)`,
              height: row.size - GAP,
              gridTemplateColumns: `repeat(${columns}, ${cell}px)`,
            }}
          >
            {frames.slice(row.index * columns, (row.index + 1) * columns).map((frame) => (
              <FrameCard key={frame.frame_id} frame={frame} search={props.search} />
            ))}
          </div>
        ))}
      </div>
    </div>
  );
}
