import { equal, sha256, type Bytes } from './bytes';

// The tree of RFC 6962, computed here and not on the word of the server.

export const leafHash = (leaf: Uint8Array): Promise<Bytes> => sha256(Uint8Array.of(0), leaf);

const nodeHash = (left: Uint8Array, right: Uint8Array): Promise<Bytes> => sha256(Uint8Array.of(1), left, right);

/** Neighbouring leaves, and the hashes of the subtrees beside them, from the left. */
export interface Run {
  readonly begin: bigint;
  readonly leaves: readonly Uint8Array[];
  readonly beside: readonly Uint8Array[];
}

/** Whether the leaves of a run are in a tree of that size and root, at their places. */
export async function includes(run: Run, size: bigint, root: Uint8Array): Promise<boolean> {
  const end = run.begin + BigInt(run.leaves.length);
  if (run.leaves.length === 0 || run.begin < 0n || end > size) return false;
  const beside = [...run.beside];
  const hash = async (from: bigint, to: bigint): Promise<Uint8Array | undefined> => {
    if (to <= run.begin || end <= from) return beside.shift();
    if (to - from === 1n) {
      const leaf = run.leaves[Number(from - run.begin)];
      return leaf && leafHash(leaf);
    }
    let half = 1n;
    while (half * 2n < to - from) half *= 2n;
    const left = await hash(from, from + half);
    const right = await hash(from + half, to);
    return left && right && nodeHash(left, right);
  };
  const found = await hash(0n, size);
  return found !== undefined && beside.length === 0 && equal(found, root);
}
