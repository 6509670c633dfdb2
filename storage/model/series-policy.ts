import type { Labels } from './labels.ts';

/** What is done with the labels of every series before it is stored. Asked once for a series, not for its samples. */
export interface SeriesPolicy {
  /** An integer that rises with each change of what `admit` answers. */
  readonly generation: number;
  /** The labels under which a tenant's series is stored, sorted by name, none empty; undefined: it is dropped. Never throws. */
  admit(tenant: string, labels: Labels): Labels | undefined;
}
