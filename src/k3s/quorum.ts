/** How many voters etcd needs of so many: one of one, two of three, three of five. Even numbers tolerate no more than the odd one below. */
export function quorumOf(members: number): number {
  return Math.floor(members / 2) + 1;
}
