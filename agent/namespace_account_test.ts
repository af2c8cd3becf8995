/** The kernel's counts and the agent's at the same moments, though the agent learns of things later. */

import assert from "node:assert/strict";
import { CHECKPOINTS_MAX, NamespaceAccount } from "./namespace_account.ts";

/** Checks and completes, as a walk does. */
function read(account: NamespaceAccount, atNs: number, ...kernel: number[]): void {
  assert.ok(account.check(atNs, kernel));
  account.complete();
}

Deno.test("NamespaceAccount leaves out what was before it, and is 0 where the agent counts what the kernel does", () => {
  const account = new NamespaceAccount(100, [7, 1_000]);
  assert.deepEqual(account.difference(0), { kernel: 0, present: 0, persistent: 0 });
  account.count(0, 100); // counted by the kernel before
  account.count(0, 101);
  account.count(1, 150);
  account.count(1, 150);
  read(account, 200, 8, 1_002);
  account.count(1, 201); // the kernel counts it after the reading
  assert.deepEqual([0, 1].map((i) => account.difference(i)), [{ kernel: 1, present: 0, persistent: 0 }, {
    kernel: 2,
    present: 0,
    persistent: 0,
  }]);
});

Deno.test("NamespaceAccount settles when late news of an earlier time comes", () => {
  const account = new NamespaceAccount(0, [0]);
  read(account, 10, 2);
  read(account, 20, 3);
  assert.deepEqual(account.difference(0), { kernel: 3, present: 3, persistent: 0 });
  account.count(0, 5);
  account.count(0, 20); // at the moment of a reading is before it
  assert.deepEqual(account.difference(0), { kernel: 3, present: 1, persistent: 0 });
  account.count(0, 6);
  assert.deepEqual(account.difference(0), { kernel: 3, present: 0, persistent: 0 });
});

Deno.test("NamespaceAccount keeps a loss as persistent once all checkpoints are younger, and late news settles still", () => {
  const account = new NamespaceAccount(0, [0]);
  for (let i = 1; i < CHECKPOINTS_MAX; i++) read(account, i, 5);
  assert.deepEqual(account.difference(0), { kernel: 5, present: 5, persistent: 0 }, "it began without a difference");
  read(account, CHECKPOINTS_MAX, 5);
  assert.deepEqual(account.difference(0), { kernel: 5, present: 5, persistent: 5 });
  read(account, 100, 5);
  account.count(0, 1); // before the oldest checkpoint that is kept
  assert.deepEqual(account.difference(0), { kernel: 5, present: 4, persistent: 4 });
});

Deno.test("NamespaceAccount calls nothing persistent that changes its sign", () => {
  const account = new NamespaceAccount(0, [0]);
  for (let i = 0; i < 3; i++) account.count(0, 5);
  for (let i = 1; i <= 5; i++) read(account, 10 * i, 1);
  for (let i = 6; i <= 20; i++) read(account, 10 * i, 4);
  assert.deepEqual(account.difference(0), { kernel: 4, present: 1, persistent: 0 });
  read(account, 210, 4);
  assert.deepEqual(account.difference(0), { kernel: 4, present: 1, persistent: 1 });
});

Deno.test("NamespaceAccount does not judge a checkpoint before the walk that completes it", () => {
  const account = new NamespaceAccount(0, [0]);
  read(account, 10, 0);
  assert.ok(account.check(20, [9]));
  assert.deepEqual(account.difference(0), { kernel: 0, present: 0, persistent: 0 });
  account.complete();
  assert.equal(account.difference(0).present, 9);
});

Deno.test("NamespaceAccount refuses counts that fell, as they are another namespace's", () => {
  const account = new NamespaceAccount(0, [5, 5]);
  assert.ok(account.check(10, [6, 5]));
  assert.ok(!account.check(20, [7, 4]));
});
