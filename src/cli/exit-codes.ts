/** What the program ends with. Part of what users build on: a number never changes its meaning. */
export const EXIT = {
  ok: 0,
  /** Something failed at run time. */
  failure: 1,
  /** A flag, variable, command or data directory that cannot be used. */
  usage: 2,
  /** Another server has the data directory. */
  locked: 3,
  /** The engine found itself broken; a restart recovers from the WAL. */
  internal: 70,
} as const;
