/** One minute of one partition while rows of it may come. */

import type { Conversations } from "./conversations.ts";
import type { EdgeTable } from "./edge_table.ts";

export class Window {
  readonly minute: number;
  /** Offset of the first message with rows of it. */
  readonly from: bigint;
  /** Rows of the partition before it, since the job began to read. */
  readonly rowsBefore: number;
  readonly conversations: Conversations;
  /** Whether rows came since it was told last. */
  isChanged = false;
  /** What was told; null before the first time. */
  #told: EdgeTable | null = null;

  /** @param conversations Without any. */
  constructor(minute: number, from: bigint, rowsBefore: number, conversations: Conversations) {
    this.minute = minute;
    this.from = from;
    this.rowsBefore = rowsBefore;
    this.conversations = conversations;
  }

  /** What is new since it was told last. */
  tell(): EdgeTable {
    const edges = this.conversations.edges(), told = this.#told;
    this.#told = edges;
    this.isChanged = false;
    return told === null ? edges : edges.changesSince(told);
  }
}
