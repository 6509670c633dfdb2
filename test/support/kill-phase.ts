/** When a process ends that is to end at one of its calls: before it, in the middle of it, or after it. */
export const KILL_PHASES = ['before', 'during', 'after'] as const;

export type KillPhase = (typeof KILL_PHASES)[number];
