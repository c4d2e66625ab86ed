/** Frames as a grid of cards that holds any number of them: only rows in sight exist. */

import { type MutableRefObject, type ReactNode, useEffect, useRef } from "react";
import { FrameCard, NoFrameYet } from "./FrameCard";
import styles from "./FrameGrid.module.css";
import { frameAt, type List, lengthOf } from "./list";
import { type Position, useRows } from "./useRows";

interface Props {
  list: List;
  /** Hears the places of the first and the last frame that have a row. */
  onSee?: (first: number, last: number) => void;
  /** Where the grid begins, and is kept up to date. */
  position?: MutableRefObject<Position>;
  /** Query string that goes to a frame's page with the link. */
  search?: string;
  /** Whether the first row is in sight. */
  onAtTop?: (atTop: boolean) => void;
  /** Above the first row, scrolled away with it. */
  children?: ReactNode;
  /** Below the last row. */
  foot?: ReactNode;
}

/** Scrolls by itself; fills its parent. */
export function FrameGrid(props: Props) {
  const { list, onSee } = props;
  const start = useRef<Position>({ base: 0, top: 0 });
  const length = lengthOf(list);
  const grid = useRows({
    length,
    position: props.position ?? start,
    onAtTop: props.onAtTop,
  });

  const { rows, columns } = grid;
  const first = rows[0]?.first ?? 0;
  const last = (rows.at(-1)?.first ?? 0) + columns - 1;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a list that changed may lack others
  useEffect(() => {
    // Else pages that come into sight at once would be let go.
    if (grid.isThere()) onSee?.(first, last);
  }, [first, last, list, onSee]);

  const places = Array.from({ length: columns }, (_, column) => column);
  return (
    <div
      className={styles.scroller}
      ref={grid.scroller}
      onScroll={grid.onScroll}
      data-testid="frame-grid"
    >
      <div ref={grid.above}>{props.children}</div>
      <div className={styles.rows} style={{ height: grid.height }}>
        {rows.map((row) => (
          <div
            key={row.key}
            className={styles.row}
            style={{
              transform: `translateY(${row.top}px)`,
              height: grid.rowHeight,
              gridTemplateColumns: `repeat(${columns}, ${grid.cell}px)`,
            }}
          >
            {places.map((column) => {
              const frame = frameAt(list, row.first + column);
              if (frame)
                return (
                  <FrameCard
                    key={frame.frame_id}
                    frame={frame}
                    search={props.search}
                    passing={grid.isFast}
                  />
                );
              return row.first + column < length && <NoFrameYet key={column} />;
            })}
          </div>
        ))}
      </div>
      {props.foot}
    </div>
  );
}
